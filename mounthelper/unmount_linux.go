package mounthelper

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/shelffs/shelf/internal/errs"
)

// Unmount detaches the Shelf mount at dir. Lazy detaches it from the tree at once and
// lets programs that still hold files end in their own time. Without lazy a mount in
// use is Busy, and the message names who holds it. Nothing mounted there is success;
// a mount of another type is refused.
func Unmount(ctx context.Context, dir string, lazy bool) error {
	const op = "mounthelper.Unmount"
	m, err := mountAt(dir)
	if err != nil {
		return errs.E(op, errs.Other, dir, err)
	}
	if m == nil {
		return nil
	}
	if m.fsType != "fuse."+Type {
		return errs.E(op, errs.Forbidden, dir, errors.New("that is a "+m.fsType+" mount, not one of Shelf"))
	}
	flags := unix.UMOUNT_NOFOLLOW
	if lazy {
		flags |= unix.MNT_DETACH
	}
	err = unix.Unmount(dir, flags)
	if errors.Is(err, unix.EPERM) && os.Geteuid() != 0 {
		err = throughHelper(ctx, dir, lazy)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EBUSY):
		held := errors.New("a program uses it")
		if hs := Holders(dir); len(hs) > 0 {
			held = errors.New("in use by " + Describe(hs))
		}
		return errs.E(op, errs.Busy, dir, held)
	}
	return errs.FromOS(op, dir, err)
}

// throughHelper asks the helper, which unmounts what its caller mounted.
func throughHelper(ctx context.Context, dir string, lazy bool) error {
	bin, err := Helper()
	if err != nil {
		return err
	}
	args := []string{"-u"}
	if lazy {
		args = append(args, "-z")
	}
	err = run(ctx, bin, nil, append(args, "--", dir)...)
	// The helper tells a busy mount from others only by its text, so look who holds it instead.
	if err != nil && len(Holders(dir)) > 0 {
		return unix.EBUSY
	}
	return err
}
