package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// machine notes what everything runs on.
func (r *report) machine(bin string) error {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return fmt.Errorf("reading the machine's memory: %w", err)
	}
	info, err := os.Stat(bin)
	if err != nil {
		return fmt.Errorf("reading the size of weir: %w", err)
	}
	r.cores, r.binary = runtime.NumCPU(), info.Size()
	var errs [2]error
	r.memory, errs[0] = kibibytes(string(text), "MemTotal")
	r.load, errs[1] = loadAverage()
	return errors.Join(errs[:]...)
}

// versions names what takes part.
func (b *bed) versions(ctx context.Context) (string, error) {
	kube, err := b.cluster.Client().Discovery().ServerVersion()
	if err != nil {
		return "", fmt.Errorf("reading the version of Kubernetes: %w", err)
	}
	info, err := b.redis.InfoMap(ctx, "server").Result()
	if err != nil {
		return "", fmt.Errorf("reading the version of Redis: %w", err)
	}
	commit := "unknown"
	if out, err := exec.CommandContext(ctx, "git", "describe", "--tags", "--always", "--dirty").Output(); err == nil {
		commit = strings.TrimSpace(string(out))
	}
	return fmt.Sprintf("weir %s, %s, Kubernetes %s, Redis %s", commit, runtime.Version(), kube.GitVersion, info["Server"]["redis_version"]), nil
}
