module capim/e2e/capi-1.7

go 1.25.0

require (
	sigs.k8s.io/cluster-api v1.7.0
	sigs.k8s.io/cluster-api/test v1.7.0
)
