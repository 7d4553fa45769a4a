//go:build darwin || freebsd

package mounthelper

import (
	"context"
	"errors"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/shelffs/shelf/internal/errs"
)

// answerTime is how long a mounted filesystem may take to answer before it counts as Hung.
const answerTime = 2 * time.Second

// Look says what lies at the absolute path p; it never hangs.
func Look(ctx context.Context, p string) (State, error) {
	typ, from, err := mountAt(p)
	if err != nil || typ == "" {
		return Free, err
	}
	if !strings.Contains(typ, "fuse") || from != Type {
		return Other, nil
	}
	answer := make(chan error, 1)
	go func() {
		var st unix.Statfs_t // stat may be answered from the kernel's cache
		answer <- unix.Statfs(p, &st)
	}()
	select {
	case err := <-answer:
		if errors.Is(err, unix.ENOTCONN) || errors.Is(err, unix.ENXIO) || errors.Is(err, unix.EIO) {
			return Stale, nil
		}
		return Live, nil
	case <-time.After(answerTime):
		return Hung, nil
	case <-ctx.Done():
		return Hung, ctx.Err()
	}
}

func mountAt(p string) (typ, from string, err error) {
	n, err := unix.Getfsstat(nil, unix.MNT_NOWAIT)
	if err != nil {
		return "", "", err
	}
	buf := make([]unix.Statfs_t, n)
	if n, err = unix.Getfsstat(buf, unix.MNT_NOWAIT); err != nil {
		return "", "", err
	}
	for i := range buf[:n] {
		if unix.ByteSliceToString(buf[i].Mntonname[:]) == p {
			typ, from = unix.ByteSliceToString(buf[i].Fstypename[:]), unix.ByteSliceToString(buf[i].Mntfromname[:])
		}
	}
	return typ, from, nil
}

// Unmount detaches the Shelf mount at dir; see the Linux form for the contract. Here
// lazy means by force.
func Unmount(ctx context.Context, dir string, lazy bool) error {
	const op = "mounthelper.Unmount"
	typ, from, err := mountAt(dir)
	if err != nil || typ == "" {
		return err
	}
	if from != Type {
		return errs.E(op, errs.Forbidden, dir, errors.New("that is a "+typ+" mount, not one of Shelf"))
	}
	flags := 0
	if lazy {
		flags = unix.MNT_FORCE
	}
	err = unix.Unmount(dir, flags)
	if errors.Is(err, unix.EBUSY) {
		held := errors.New("a program uses it")
		if hs := Holders(dir); len(hs) > 0 {
			held = errors.New("in use by " + Describe(hs))
		}
		return errs.E(op, errs.Busy, dir, held)
	}
	if err != nil {
		return errs.FromOS(op, dir, err)
	}
	return nil
}

// Holders asks lsof who uses the filesystem at dir; none if lsof is missing.
func Holders(dir string) []Holder {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	out, _ := exec.CommandContext(ctx, "lsof", "-w", "-F", "pcfn", dir).Output()
	var hs []Holder
	for _, line := range strings.Split(string(out), "\n") {
		if line == "" {
			continue
		}
		if line[0] == 'p' {
			pid, _ := strconv.Atoi(line[1:])
			hs = append(hs, Holder{PID: pid, How: "open file"})
			continue
		}
		if len(hs) == 0 {
			continue
		}
		switch h := &hs[len(hs)-1]; {
		case line[0] == 'c':
			h.Command = line[1:]
		case line[0] == 'f' && line[1:] == "cwd":
			h.How = "working directory"
		case line[0] == 'n' && h.Path == "":
			h.Path = line[1:]
		}
	}
	return hs
}

func servedBySomebody(string) bool { return true }
