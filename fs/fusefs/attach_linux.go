package fusefs

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/shelffs/shelf/mounthelper"
)

// attach mounts r on dir: root by itself, where the system lets it, and everybody else through
// fusermount3, which the library could call too, but not tell what it complained of.
func attach(ctx context.Context, r *raw, dir string, m *fuse.MountOptions) (*fuse.Server, error) {
	if m.DirectMount {
		direct := *m
		direct.DirectMountStrict = true
		if srv, err := fuse.NewServer(r, dir, &direct); err == nil {
			return srv, nil
		}
	}
	return attachThroughHelper(ctx, r, dir, m)
}

func attachThroughHelper(ctx context.Context, r *raw, dir string, m *fuse.MountOptions) (*fuse.Server, error) {
	options := append([]string{"fsname=" + m.FsName, "subtype=" + m.Name, fmt.Sprintf("max_read=%d", m.MaxWrite)}, m.Options...)
	if m.AllowOther {
		options = append(options, "allow_other")
	}
	fd, err := mounthelper.Attach(ctx, dir, options)
	if err != nil {
		return nil, err
	}
	given := *m
	given.DirectMount = false
	srv, err := fuse.NewServer(r, fmt.Sprintf("/dev/fd/%d", fd), &given)
	if err != nil {
		_ = unix.Close(fd)
		_ = mounthelper.Unmount(ctx, dir, true)
		return nil, err
	}
	return srv, nil
}

// settle lets the kernel find out that files here cannot be polled, as the library does where it
// has mounted itself: a Go program that opened the first one would else block a whole thread.
func settle(dir string) {
	fd, err := unix.Open(filepath.Join(dir, ".go-fuse-epoll-hack"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN | unix.POLLPRI | unix.POLLOUT}}, 0)
}
