package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/client-go/rest"
)

var forwarded = regexp.MustCompile(`127\.0\.0\.1:(\d+)`)

// etcdMembers asks the etcd behind a pod, as an administrator does through `kubectl port-forward`.
func etcdMembers(ctx context.Context, _ *rest.Config, _ string) error {
	ctx, stop := context.WithTimeout(ctx, 30*time.Second)
	endpoint, wait, err := forward(ctx)
	if err != nil {
		stop()
		return err
	}
	defer wait() // with the context ended: kubectl must not outlive us
	defer stop()
	settings, err := etcdTLS()
	if err != nil {
		return err
	}
	client, err := clientv3.New(clientv3.Config{Context: ctx, Endpoints: []string{endpoint}, TLS: settings})
	if err != nil {
		return err
	}
	defer client.Close()
	members, err := client.MemberList(ctx)
	if err := expect(err, func() bool { return len(members.Members) == 1 }, "one member"); err != nil {
		return err
	}
	status, err := client.Status(ctx, endpoint)
	if err := expect(err, func() bool { return status.Leader == members.Members[0].ID }, "the member as leader"); err != nil {
		return err
	}
	alarms, err := client.AlarmList(ctx)
	if err := expect(err, func() bool { return len(alarms.Alarms) == 0 }, "no alarm"); err != nil {
		return err
	}
	fmt.Println("ok etcd", members.Members[0].Name, status.Version)
	return nil
}

// forward starts kubectl and returns where it listens, and what waits for its end; it ends with the context.
func forward(ctx context.Context) (string, func() error, error) {
	command := exec.CommandContext(ctx, *kubectl, "--kubeconfig", *kubeconfig, "-n", "kube-system", "port-forward", "pod/"+*pod, ":2379")
	command.Stderr = os.Stderr
	output, err := command.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := command.Start(); err != nil {
		return "", nil, err
	}
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		if port := forwarded.FindStringSubmatch(lines.Text()); port != nil {
			return "https://127.0.0.1:" + port[1], command.Wait, nil
		}
	}
	return "", nil, fmt.Errorf("kubectl forwards no port: %v", command.Wait())
}

func etcdTLS() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(filepath.Join(*certs, "client.crt"), filepath.Join(*certs, "client.key"))
	if err != nil {
		return nil, err
	}
	authority, err := os.ReadFile(filepath.Join(*certs, "ca.crt"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots}, nil
}
