//go:build capi1_7

package main

import "sigs.k8s.io/cluster-api/test/infrastructure/inmemory/pkg/server"

// reserve keeps the first port of the range for the workload cluster.
func reserve(mux *server.WorkloadClustersMux) error {
	_, err := mux.InitWorkloadClusterListener(cluster)
	return err
}

func customPorts() server.CustomPorts {
	return server.CustomPorts{MinPort: *port, MaxPort: *port, DebugPort: *debugPort}
}
