package hydration

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// System looks processes up in /proc.
func System() Processes { return proc{} }

type proc struct{}

func procFile(pid uint32, name string) string {
	return "/proc/" + strconv.FormatUint(uint64(pid), 10) + "/" + name
}

// Look implements Processes. The kernel names a reader by its thread.
func (proc) Look(pid uint32) (Process, bool) {
	status, err := os.ReadFile(procFile(pid, "status"))
	if err != nil {
		return Process{}, false
	}
	for line := range bytes.Lines(status) {
		if v, ok := bytes.CutPrefix(line, []byte("Tgid:")); ok {
			if n, err := strconv.ParseUint(string(bytes.TrimSpace(v)), 10, 32); err == nil {
				pid = uint32(n)
			}
			break
		}
	}
	stat, err := os.ReadFile(procFile(pid, "stat"))
	if err != nil {
		return Process{}, false
	}
	p, ok := parseStat(string(stat))
	if exe, err := os.Readlink(procFile(pid, "exe")); err == nil {
		p.Exe = filepath.Base(strings.TrimSuffix(exe, " (deleted)"))
	}
	return p, ok
}

// parseStat reads a line of proc_pid_stat(5): the name is in brackets and may hold any byte.
func parseStat(line string) (Process, bool) {
	open, shut := strings.IndexByte(line, '('), strings.LastIndexByte(line, ')')
	if open < 0 || shut < open {
		return Process{}, false
	}
	rest := strings.Fields(line[shut+1:])
	const parent, start = 1, 19
	if len(rest) <= start {
		return Process{}, false
	}
	pid, err1 := strconv.ParseUint(strings.TrimSpace(line[:open]), 10, 32)
	up, err2 := strconv.ParseUint(rest[parent], 10, 32)
	began, err3 := strconv.ParseUint(rest[start], 10, 64)
	if err1 != nil || err2 != nil || err3 != nil {
		return Process{}, false
	}
	return Process{PID: uint32(pid), Start: began, Name: line[open+1 : shut], Parent: uint32(up)}, true
}

// Args implements Processes.
func (proc) Args(pid uint32) []string {
	b, err := os.ReadFile(procFile(pid, "cmdline"))
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00")
}
