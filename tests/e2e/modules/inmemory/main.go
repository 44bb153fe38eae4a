// Inmemory serves one workload cluster of Cluster API's Go provider in memory: the provider's own
// servers for Kubernetes and etcd, without its controllers and without a management cluster. It holds
// the pod of one etcd member; everything else is created by whoever measures.
package main

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	storagev1 "k8s.io/api/storage/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/klog/v2"
	inmemory "sigs.k8s.io/cluster-api/test/infrastructure/inmemory/pkg/runtime"
	"sigs.k8s.io/cluster-api/test/infrastructure/inmemory/pkg/server"
	ctrl "sigs.k8s.io/controller-runtime"
)

const (
	cluster    = "bench-0"
	machine    = "bench-0-cp-0"
	etcdPrefix = "etcd.inmemory.infrastructure.cluster.x-k8s.io/"
)

var (
	port      = flag.Int("port", 0, "of the workload cluster")
	debugPort = flag.Int("debug-port", 0, "of the provider's own debug server")
	keys      = flag.String("keys", "", "folder with ca.crt, ca.key, etcd-ca.crt and etcd-ca.key; RSA keys")
)

// The provider serves the kinds that its scheme has.
func newScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, appsv1.AddToScheme, rbacv1.AddToScheme,
		storagev1.AddToScheme, apiextensionsv1.AddToScheme, policyv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	return scheme, nil
}

func main() {
	flag.Parse()
	ctrl.SetLogger(klog.Background())
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
	<-ctx.Done()
}

func serve(ctx context.Context) error {
	scheme, err := newScheme()
	if err != nil {
		return err
	}
	manager := inmemory.NewManager(scheme)
	if err := manager.Start(ctx); err != nil {
		return err
	}
	mux, err := server.NewWorkloadClustersMux(manager, "127.0.0.1", customPorts())
	if err != nil {
		return err
	}
	if err := reserve(mux); err != nil {
		return err
	}
	manager.AddResourceGroup(cluster)
	if err := mux.RegisterResourceGroup(cluster, cluster); err != nil {
		return err
	}
	if err := manager.GetResourceGroup(cluster).GetClient().Create(ctx, etcdPod()); err != nil {
		return err
	}
	return addServers(mux)
}

// addServers opens the port: it is the last thing to do.
func addServers(mux *server.WorkloadClustersMux) error {
	certificate, key, err := authority("etcd-ca")
	if err != nil {
		return err
	}
	if err := mux.AddEtcdMember(cluster, "etcd-"+machine, certificate, key); err != nil {
		return err
	}
	certificate, key, err = authority("ca")
	if err != nil {
		return err
	}
	return mux.AddAPIServer(cluster, "kube-apiserver-"+machine, certificate, key)
}

// etcdPod tells the fake etcd of its only member, as the provider's machine controller does.
func etcdPod() *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: metav1.NamespaceSystem,
			Name:      "etcd-" + machine,
			Labels:    map[string]string{"component": "etcd", "tier": "control-plane"},
			Annotations: map[string]string{
				etcdPrefix + "cluster-id":  "1",
				etcdPrefix + "member-id":   "2",
				etcdPrefix + "leader-from": time.Now().Format(time.RFC3339),
			},
		},
	}
}

func authority(name string) (*x509.Certificate, *rsa.PrivateKey, error) {
	certificate, err := block(name + ".crt")
	if err != nil {
		return nil, nil, err
	}
	key, err := block(name + ".key")
	if err != nil {
		return nil, nil, err
	}
	parsed, err := x509.ParseCertificate(certificate)
	if err != nil {
		return nil, nil, err
	}
	private, err := x509.ParsePKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	rsaKey, isRSA := private.(*rsa.PrivateKey)
	if !isRSA {
		return nil, nil, fmt.Errorf("%s.key is no RSA key: the provider takes no other", name)
	}
	return parsed, rsaKey, nil
}

func block(name string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(*keys, name))
	if err != nil {
		return nil, err
	}
	found, _ := pem.Decode(text)
	if found == nil {
		return nil, fmt.Errorf("%s is not PEM", name)
	}
	return found.Bytes, nil
}
