package mounthelper

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/shelffs/shelf/internal/errs"
)

// Direct mounts a FUSE filesystem on dir as Attach does, without the helper: for root, where the system lets it.
func Direct(dir, source string, options []string) (fd int, err error) {
	const op = "mounthelper.Direct"
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return -1, errs.FromOS(op, dir, err)
	}
	if fd, err = unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0); err != nil {
		return -1, errs.FromOS(op, "/dev/fuse", err)
	}
	own := []string{
		fmt.Sprintf("fd=%d", fd),
		fmt.Sprintf("rootmode=%o", st.Mode&unix.S_IFMT),
		fmt.Sprintf("user_id=%d", os.Geteuid()),
		fmt.Sprintf("group_id=%d", os.Getegid()),
	}
	if err := unix.Mount(source, dir, "fuse."+Type, unix.MS_NOSUID|unix.MS_NODEV, strings.Join(append(own, options...), ",")); err != nil {
		unix.Close(fd)
		return -1, errs.FromOS(op, dir, err)
	}
	return fd, nil
}
