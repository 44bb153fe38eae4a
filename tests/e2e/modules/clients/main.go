// Clients drives an API server with the Go client libraries as tools and controllers use them. Each
// subcommand is one way to use them; it ends with an error at the first answer that such a client
// could not live with.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sort"
	"strings"
	"syscall"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

type program func(ctx context.Context, config *rest.Config, namespace string) error

var programs = map[string]program{
	"typed":     typed,
	"protobuf":  protobuf,
	"dynamic":   dynamicClient,
	"informers": informersFollow,
	"manager":   runManager,
	"churn":     churn,
	"etcd":      etcdMembers,
}

var (
	// not flag.CommandLine: controller-runtime has a flag of the same name there
	flags = flag.NewFlagSet("clients", flag.ExitOnError)

	kubeconfig = flags.String("kubeconfig", os.Getenv("KUBECONFIG"), "of an administrator")
	namespace  = flags.String("namespace", "", "an empty namespace that exists")
	seconds    = flags.Int("seconds", 20, "churn: how long objects are written")
	rate       = flags.Int("rate", 20, "churn: writes a second")
	kubectl    = flags.String("kubectl", "kubectl", "etcd: the program that forwards the port")
	pod        = flags.String("pod", "", "etcd: the pod of the member in kube-system")
	certs      = flags.String("certs", "", "etcd: folder of ca.crt, client.crt and client.key")
)

func main() {
	if err := flags.Parse(os.Args[1:]); err != nil {
		fail(err)
	}
	run, known := programs[flags.Arg(0)]
	if !known {
		names := make([]string, 0, len(programs))
		for name := range programs {
			names = append(names, name)
		}
		sort.Strings(names)
		fail(fmt.Errorf("say which: %s", strings.Join(names, ", ")))
	}
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		fail(err)
	}
	config.QPS, config.Burst = 1000, 1000
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, config, *namespace); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "error:", err)
	os.Exit(1)
}
