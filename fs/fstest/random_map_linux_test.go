package fstest

import (
	"bytes"
	"fmt"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// mapping is a memory map. It outlives its descriptor and the file's name.
type mapping struct {
	mem    []byte
	off    int64 // of mem in the file
	file   int   // names the file, without holding it open (O_PATH)
	ino    uint64
	shared bool
	writes bool
}

var mapFlags = map[string]int{"SHARED": unix.MAP_SHARED, "PRIVATE": unix.MAP_PRIVATE}

// mapActs are the operations on memory maps.
var mapActs = []act{
	{"mmap", 10, "mfolP", func(s *side, a args) string {
		s.unmap(a.size(0))
		return s.mmap(a.size(0), a.fd(1), a.num(2)&^4095, a.size(3), a.flags(4, mapFlags))
	}},
	{"load", 10, "mol", func(s *side, a args) string {
		var got []byte
		fault := a.within(len(a.mapped(0).mem), func(m []byte) { got = bytes.Clone(m) })
		return said(nil, fault, len(got), sum(got))
	}},
	{"store", 16, "molx", func(s *side, a args) string {
		to := a.mapped(0)
		if !to.writes {
			return "left out"
		}
		if to.shared {
			s.stored[to.ino] = true
		}
		b := random(a.num(3), a.size(2))
		n := 0
		fault := a.within(to.inFile(), func(m []byte) {
			for i := range m {
				m[i] = b[i]
				n++
			}
		})
		return said(nil, fault, n)
	}},
	{"msync", 6, "m", func(s *side, a args) string {
		if len(a.mapped(0).mem) == 0 {
			return "left out"
		}
		return said(again(func() error { return unix.Msync(a.mapped(0).mem, unix.MS_SYNC) }))
	}},
	{"munmap", 3, "m", func(s *side, a args) string { s.unmap(a.size(0)); return "" }},
}

func (s *side) mmap(slot, fd int, off int64, n, how int) string {
	m := mapping{off: off, file: -1, shared: how == unix.MAP_SHARED}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	m.writes = err == nil && flags&unix.O_ACCMODE == unix.O_RDWR || !m.shared
	prot := unix.PROT_READ
	if m.writes {
		prot |= unix.PROT_WRITE
	}
	if m.mem, err = unix.Mmap(fd, off, max(1, n), prot, how); err != nil {
		return said(err)
	}
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	m.ino = st.Ino
	if err == nil {
		m.file, err = unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_PATH|unix.O_CLOEXEC, 0)
	}
	s.maps[slot] = m
	return said(err)
}

func (s *side) unmap(i int) {
	if m := s.maps[i]; m.mem != nil {
		unix.Munmap(m.mem)
		unix.Close(m.file)
		s.maps[i] = mapping{}
	}
}

// inFile is how much of the map lies below the end of the file. What is stored in the rest of the last
// page belongs to nobody: filesystems differ in when they clear it.
func (m mapping) inFile() int {
	if !m.shared {
		return len(m.mem)
	}
	size, _ := regular(m.file)
	return int(max(0, min(int64(len(m.mem)), size-m.off)))
}

// within calls fn with the part of a map that the operands 1 and 2 mean, as far as end, and returns what became of it:
// a file that was cut leaves a map without pages behind its end.
func (a args) within(end int, fn func(mem []byte)) (fault string) {
	m := a.mapped(0).mem
	if len(m) == 0 {
		return "nothing"
	}
	off := a.size(1) % len(m)
	to := min(end, off+a.size(2)%(16<<10))
	if off >= to {
		return "nothing"
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if recover() != nil {
			fault = "fault"
		}
	}()
	fn(m[off:to])
	return "whole"
}
