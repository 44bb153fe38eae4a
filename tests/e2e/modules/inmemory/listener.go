//go:build !capi1_7

package main

import "sigs.k8s.io/cluster-api/test/infrastructure/inmemory/pkg/server"

// reserve keeps a port for the workload cluster; zero is the first of the range.
func reserve(mux *server.WorkloadClustersMux) error {
	_, err := mux.InitWorkloadClusterListener(cluster, 0)
	return err
}

func customPorts() server.CustomPorts {
	return server.CustomPorts{MinPort: int32(*port), MaxPort: int32(*port), DebugPort: int32(*debugPort)}
}
