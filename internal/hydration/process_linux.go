package hydration

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// System looks processes up in /proc.
func System() Processes { return proc{} }

type proc struct{}

func procFile(pid uint32, name string) string {
	return "/proc/" + strconv.FormatUint(uint64(pid), 10) + "/" + name
}

// readProc reads the beginning of a file in /proc into buf. A reader waits for it: it takes three system calls, where package os
// takes a dozen.
func readProc(pid uint32, name string, buf []byte) ([]byte, bool) {
	fd, err := unix.Open(procFile(pid, name), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, false
	}
	defer unix.Close(fd)
	n, err := unix.Read(fd, buf)
	return buf[:max(n, 0)], err == nil
}

// Look implements Processes. The kernel names a reader by its thread.
func (proc) Look(pid uint32) (Process, bool) {
	var buf [4096]byte
	stat, ok := readProc(pid, "stat", buf[:])
	if !ok {
		return Process{}, false
	}
	p, threads, ok := parseStat(string(stat))
	if of := pid; ok && threads > 1 { // it may be one of several
		if status, ok := readProc(pid, "status", buf[:]); ok {
			of = group(status, pid)
		}
		if of != pid {
			if stat, ok = readProc(of, "stat", buf[:]); ok {
				p, _, ok = parseStat(string(stat))
			}
		}
	}
	if !ok {
		return Process{}, false
	}
	if exe, err := os.Readlink(procFile(p.PID, "exe")); err == nil {
		p.Exe = filepath.Base(strings.TrimSuffix(exe, " (deleted)"))
	}
	return p, true
}

// group is the process that a thread is of, as its status has it.
func group(status []byte, thread uint32) uint32 {
	for line := range bytes.Lines(status) {
		if v, ok := bytes.CutPrefix(line, []byte("Tgid:")); ok {
			if n, err := strconv.ParseUint(string(bytes.TrimSpace(v)), 10, 32); err == nil {
				return uint32(n)
			}
		}
	}
	return thread
}

// parseStat reads a line of proc_pid_stat(5): the name is in brackets and may hold any byte.
func parseStat(line string) (p Process, threads uint64, ok bool) {
	open, shut := strings.IndexByte(line, '('), strings.LastIndexByte(line, ')')
	if open < 0 || shut < open {
		return Process{}, 0, false
	}
	rest := strings.Fields(line[shut+1:])
	const parent, count, start = 1, 17, 19
	if len(rest) <= start {
		return Process{}, 0, false
	}
	pid, err1 := strconv.ParseUint(strings.TrimSpace(line[:open]), 10, 32)
	up, err2 := strconv.ParseUint(rest[parent], 10, 32)
	began, err3 := strconv.ParseUint(rest[start], 10, 64)
	threads, err4 := strconv.ParseUint(rest[count], 10, 32)
	if err1 != nil || err2 != nil || err3 != nil || err4 != nil {
		return Process{}, 0, false
	}
	return Process{PID: uint32(pid), Start: began, Name: line[open+1 : shut], Parent: uint32(up)}, threads, true
}

// Args implements Processes.
func (proc) Args(pid uint32) []string {
	b, err := os.ReadFile(procFile(pid, "cmdline"))
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00")
}
