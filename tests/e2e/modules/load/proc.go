package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

const ticksPerSecond = 100 // USER_HZ, the same on every Linux

// serverCPU returns how long the server's processes have computed, in seconds. One that is gone is an
// error: what it used would be missing.
func serverCPU() (float64, error) {
	ticks := 0
	for _, pid := range serverPIDs() {
		text, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil {
			return 0, err
		}
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		for _, field := range fields[11:15] { // of the process and of its children that were reaped
			used, err := strconv.Atoi(field)
			if err != nil {
				return 0, err
			}
			ticks += used
		}
	}
	return float64(ticks) / ticksPerSecond, nil
}

// serverMemory returns the memory of the server's processes in bytes, shared pages divided up.
func serverMemory() (int, error) {
	total := 0
	for _, pid := range serverPIDs() {
		text, err := os.ReadFile("/proc/" + pid + "/smaps_rollup")
		if err != nil {
			return 0, err
		}
		for _, line := range strings.Split(string(text), "\n") {
			var kib int
			if _, err := fmt.Sscanf(line, "Pss: %d kB", &kib); err == nil {
				total += kib * 1024
			}
		}
	}
	return total, nil
}

func serverPIDs() []string {
	if *pids == "" {
		return nil
	}
	return strings.Split(*pids, ",")
}
