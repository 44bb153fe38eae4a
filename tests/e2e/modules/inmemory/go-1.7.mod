module capim/e2e/inmemory

go 1.25.0

require (
	k8s.io/api v0.29.3
	k8s.io/apiextensions-apiserver v0.29.3
	k8s.io/apimachinery v0.29.3
	k8s.io/klog/v2 v2.110.1
	sigs.k8s.io/cluster-api v1.7.0
	sigs.k8s.io/cluster-api/test v1.7.0
	sigs.k8s.io/controller-runtime v0.17.3
)
