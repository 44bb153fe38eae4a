module capim/e2e/clients

go 1.26.0

require (
	github.com/go-logr/logr v1.4.3
	go.etcd.io/etcd/client/v3 v3.6.16
	k8s.io/api v0.36.3
	k8s.io/apimachinery v0.36.3
	k8s.io/client-go v0.36.3
	k8s.io/utils v0.0.0-20260210185600-b8788abfbbc2
	sigs.k8s.io/controller-runtime v0.24.1
)
