// Load asks API servers for one kind of thing as fast as they answer, and prints as one line of JSON how
// long that took and what it cost the server. Requests carry the headers of Go's client libraries.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"
)

type program func() (*report, error)

var programs = map[string]program{
	"fill":  fill,
	"read":  read,
	"write": write,
	"watch": watch,
	"etcd":  etcd,
}

var (
	urls        = flag.String("urls", "", "of the API servers, separated by commas; connections take turns")
	keys        = flag.String("keys", "", "folder with ca.crt, client.crt and client.key; etcd: also etcd-ca.crt, etcd-client.crt and etcd-client.key")
	pids        = flag.String("pids", "", "of all processes of the server, separated by commas")
	connections = flag.Int("connections", 1, "how many, each asking one thing after the other")
	budget      = flag.Float64("cpu", 2, "seconds of CPU the server is let use; zero: until --longest")
	longest     = flag.Duration("longest", 30*time.Second, "ends the measurement whatever the server used")
	rate        = flag.Float64("rate", 0, "read: requests a second in all; zero: as fast as they are answered")
	http2       = flag.Bool("http2", false, "speak HTTP/2 with a server that offers it")
	protobuf    = flag.Bool("protobuf", false, "take protobuf where the server has it, and send it")
	noGzip      = flag.Bool("no-gzip", false, "take no packed answers; Go's client libraries take gzip")
	path        = flag.String("path", "/api/v1/nodes", "read: what is asked for")
	fresh       = flag.Bool("fresh", false, "read: a new connection for each request")
	count       = flag.Int("count", 100, "fill: how many nodes there are to be")
	watchers    = flag.Int("watchers", 1000, "watch: how many, each on a connection of its own")
	pod         = flag.String("pod", "", "etcd: of the member, in kube-system")
	tunnel      = flag.Bool("tunnel", false, "etcd: try a WebSocket before SPDY, as clients do since Kubernetes 1.31")
)

// report is what is printed: seconds unless the name says otherwise.
type report struct {
	Count     int     `json:"count"`
	Seconds   float64 `json:"seconds"`
	ServerCPU float64 `json:"server_cpu_s"`
	P50       float64 `json:"p50_ms"`
	P99       float64 `json:"p99_ms"`
	Bytes     int     `json:"bytes"` // of an answer's body, unpacked
	Protocol  string  `json:"protocol,omitempty"`
	Memory    int     `json:"memory_bytes,omitempty"` // that the server gained meanwhile
}

func main() {
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "load [flags] fill|read|write|watch|etcd")
		flag.PrintDefaults()
	}
	flag.Parse()
	run, known := programs[flag.Arg(0)]
	if !known {
		flag.Usage()
		os.Exit(2)
	}
	done, err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
	if err := json.NewEncoder(os.Stdout).Encode(done); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func servers() []string { return strings.Split(*urls, ",") }

// server returns the one that a connection asks.
func server(connection int) string {
	all := servers()
	return all[connection%len(all)]
}

func tlsConfig(authority, client string) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(filepath.Join(*keys, client+".crt"), filepath.Join(*keys, client+".key"))
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(*keys, authority+".crt"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots, MinVersion: tls.VersionTLS12}, nil
}

// newClient returns a client with a connection of its own.
func newClient() (*http.Client, error) {
	config, err := tlsConfig("ca", "client")
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		TLSClientConfig: config, ForceAttemptHTTP2: *http2, DisableKeepAlives: *fresh, DisableCompression: *noGzip,
	}
	return &http.Client{Transport: transport}, nil
}

// accepted is what typed clients say they take, those of controllers with protobuf.
func accepted() string {
	if *protobuf {
		return "application/vnd.kubernetes.protobuf, */*"
	}
	return "application/json, */*"
}

// summary puts together what was measured.
func summary(taken []time.Duration, elapsed time.Duration, cpu float64, bytes int) *report {
	sort.Slice(taken, func(i, j int) bool { return taken[i] < taken[j] })
	at := func(share float64) float64 {
		return float64(taken[int(share*float64(len(taken)-1))].Microseconds()) / 1000
	}
	return &report{
		Count: len(taken), Seconds: elapsed.Seconds(), ServerCPU: cpu,
		P50: at(0.5), P99: at(0.99), Bytes: bytes / len(taken),
	}
}
