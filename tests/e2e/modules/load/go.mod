module capim/e2e/load

go 1.26.0

require (
	go.etcd.io/etcd/client/v3 v3.6.16
	k8s.io/api v0.36.3
	k8s.io/apimachinery v0.36.3
	k8s.io/client-go v0.36.3
	k8s.io/streaming v0.36.3
)
