//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// cpuOf is the CPU seconds that all processes have used whose arguments name something in the folder, and
// their children.
func cpuOf(folder string) (cpu float64) {
	children := map[int][]int{}
	var named []int
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if f := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:])); len(f) > 1 {
			parent, _ := strconv.Atoi(f[1])
			children[parent] = append(children[parent], pid)
		}
		args, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if strings.Contains(string(args), folder+"/") {
			named = append(named, pid)
		}
	}
	seen := map[int]bool{}
	for len(named) > 0 {
		pid := named[0]
		named = named[1:]
		if seen[pid] {
			continue
		}
		seen[pid] = true
		c, _ := usageOf(pid)
		cpu += c
		named = append(named, children[pid]...)
	}
	return cpu
}
