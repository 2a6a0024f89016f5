"""What the benchmarks share: the machine, how times are taken, runs of a case, the workload."""
