package fstest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/shelffs/shelf/fs/alias"
)

// deviations are what fs/DEVIATIONS.md lists, by its headings: each check says how a mount differs
// from a local filesystem, and fails where it does not differ any more.
var deviations = map[string]func(dir string) error{
	"Directories have one link": func(dir string) error {
		if err := os.Mkdir(dir+"/sub", 0o755); err != nil {
			return err
		}
		st, err := lstat(dir)
		return differ(err, st.Nlink == 1, st.Nlink)
	},
	"Reading does not move the access time": func(dir string) error {
		name := dir + "/f"
		if err := os.WriteFile(name, []byte("body"), 0o644); err != nil {
			return err
		}
		if err := os.Chtimes(name, time.Unix(1, 0), time.Unix(2, 0)); err != nil {
			return err
		}
		if _, err := os.ReadFile(name); err != nil {
			return err
		}
		st, err := lstat(name)
		return differ(err, st.Atim.Sec == 1, st.Atim)
	},
	"Writing sets the access time, too": func(dir string) error {
		name := dir + "/f"
		if err := os.WriteFile(name, nil, 0o644); err != nil {
			return err
		}
		if err := errors.Join(os.Chtimes(name, time.Unix(1, 0), time.Unix(2, 0)), os.WriteFile(name, []byte("body"), 0)); err != nil {
			return err
		}
		st, err := lstat(name)
		return differ(err, st.Atim == st.Mtim && st.Atim.Sec != 1, st.Atim)
	},
	"Writing to a pipe does not move its times": func(dir string) error {
		name := dir + "/pipe"
		if err := unix.Mkfifo(name, 0o644); err != nil {
			return err
		}
		if err := os.Chtimes(name, time.Unix(1, 0), time.Unix(2, 0)); err != nil {
			return err
		}
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		if _, err := f.WriteString("body"); err != nil {
			return err
		}
		st, err := lstat(name)
		return differ(err, st.Mtim.Sec == 2, st.Mtim)
	},
	"Blocks are those that are known to be there": func(dir string) error {
		return onFile(dir, func(fd int) error {
			if err := unix.Fallocate(fd, 0, 0, 4<<20); err != nil {
				return err
			}
			st, err := lstat(dir + "/f")
			return differ(err, st.Size == 4<<20 && st.Blocks <= 128<<10/512, st.Blocks)
		})
	},
	"Only user.* attributes": func(dir string) error {
		acl := []byte{2, 0, 0, 0} // version; then tag, permissions, id
		for _, e := range [][3]uint32{{1, 6, ^uint32(0)}, {2, 4, 1000}, {4, 4, ^uint32(0)}, {16, 4, ^uint32(0)}, {32, 4, ^uint32(0)}} {
			acl = binary.LittleEndian.AppendUint16(acl, uint16(e[0]))
			acl = binary.LittleEndian.AppendUint16(acl, uint16(e[1]))
			acl = binary.LittleEndian.AppendUint32(acl, e[2])
		}
		for name, value := range map[string][]byte{"trusted.a": {1}, "security.a": {1}, "system.posix_acl_access": acl} {
			if err := unix.Setxattr(dir, name, value, 0); err != unix.EOPNOTSUPP {
				return fmt.Errorf("%s: %v", name, err)
			}
		}
		return nil
	},
	"Nothing is taken out of a file or put in between": func(dir string) error {
		return onFile(dir, func(fd int) error {
			for _, mode := range []uint32{unix.FALLOC_FL_COLLAPSE_RANGE, unix.FALLOC_FL_INSERT_RANGE} {
				if err := unix.Fallocate(fd, mode, 0, 4096); err != unix.EOPNOTSUPP {
					return fmt.Errorf("mode %d: %v", mode, err)
				}
			}
			return nil
		})
	},
	"No clones": func(dir string) error {
		return onFile(dir, func(fd int) error {
			g, err := os.Create(dir + "/g")
			if err != nil {
				return err
			}
			defer g.Close()
			err = unix.IoctlFileClone(int(g.Fd()), fd)
			return differ(nil, err == unix.EOPNOTSUPP, err)
		})
	},
	"No map of extents": func(dir string) error {
		return onFile(dir, func(fd int) error {
			const fiemap = 0xc020660b // FS_IOC_FIEMAP
			ask := struct {
				start, length                uint64
				flags, mapped, count, unused uint32
			}{length: 64 << 10}
			_, _, err := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), fiemap, uintptr(unsafe.Pointer(&ask)))
			return differ(nil, err == unix.EOPNOTSUPP, err)
		})
	},
	"No whiteouts": func(dir string) error {
		return onFile(dir, func(int) error {
			err := unix.Renameat2(unix.AT_FDCWD, dir+"/f", unix.AT_FDCWD, dir+"/g", unix.RENAME_WHITEOUT)
			return differ(nil, err == unix.EINVAL, err)
		})
	},
	"No flags, leases or time of birth": func(dir string) error {
		return onFile(dir, func(fd int) error {
			if _, err := unix.IoctlGetInt(fd, unix.FS_IOC_GETFLAGS); err != unix.ENOTTY {
				return fmt.Errorf("flags: %v", err)
			}
			if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, unix.F_RDLCK); err == nil {
				return errors.New("a lease is given")
			}
			var st unix.Statx_t
			if err := unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_BTIME, &st); err != nil || st.Mask&unix.STATX_BTIME != 0 {
				return fmt.Errorf("birth: %v, mask %x", err, st.Mask)
			}
			return nil
		})
	},
	"Only who mounted may enter": func(dir string) error {
		mounts, err := os.ReadFile("/proc/self/mounts")
		for line := range strings.Lines(string(mounts)) {
			if f := strings.Fields(line); strings.HasPrefix(dir, f[1]) && f[2] == "fuse.shelf" {
				return differ(err, !strings.Contains(f[3], "allow_other"), f[3])
			}
		}
		return errors.Join(err, errors.New("the mount is not found"))
	},
}

func lstat(name string) (st unix.Stat_t, err error) {
	err = unix.Lstat(name, &st)
	return st, err
}

func differ(err error, as bool, got any) error {
	if err == nil && !as {
		err = fmt.Errorf("not any more: %v", got)
	}
	return err
}

// onFile calls fn with an open file f of 64 KiB.
func onFile(dir string, fn func(fd int) error) error {
	f, err := os.Create(dir + "/f")
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(make([]byte, 64<<10)); err != nil {
		return err
	}
	return fn(int(f.Fd()))
}

// What the kernel does not let through is not ours to mend: it answers itself.
func TestKernelLetsNoSuchFallocateThrough(t *testing.T) {
	dir := t.TempDir()
	requests := filepath.Join(dir, "requests")
	c := mountedWith(t, dir, alias.Exact, requestsEnv+"="+requests)
	asked := func() int {
		b, err := os.ReadFile(requests)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(b), "FALLOCATE")
	}
	err := onFile(c.mnt, func(fd int) error {
		for _, mode := range []uint32{unix.FALLOC_FL_COLLAPSE_RANGE, unix.FALLOC_FL_INSERT_RANGE, unix.FALLOC_FL_UNSHARE_RANGE} {
			if err := unix.Fallocate(fd, mode, 0, 4096); err != unix.EOPNOTSUPP {
				t.Errorf("mode %d: %v", mode, err)
			}
		}
		if n := asked(); n != 0 {
			t.Errorf("%d requests", n)
		}
		return unix.Fallocate(fd, unix.FALLOC_FL_ZERO_RANGE, 0, 4096)
	})
	if err != nil || asked() == 0 {
		t.Errorf("others: %v, %d requests", err, asked())
	}
}

// TestDeviations holds fs/DEVIATIONS.md to what a mount does.
func TestDeviations(t *testing.T) {
	text, err := os.ReadFile("../DEVIATIONS.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(line, "## "); ok {
			listed[strings.TrimSpace(name)] = true
		}
	}
	for name := range listed {
		if deviations[name] == nil {
			t.Errorf("nothing checks %q", name)
		}
	}
	c := mounted(t)
	n := 0
	for name, check := range deviations {
		t.Run(name, func(t *testing.T) {
			if !listed[name] {
				t.Error("it is not in the document")
			}
			n++
			dir := filepath.Join(c.mnt, fmt.Sprint("deviation", n))
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := check(dir); err != nil {
				t.Error(err)
			}
		})
	}
}
