package fusefs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/shelffs/shelf/mounthelper"
)

// attach mounts r on dir: root by itself, where the system lets it, and everybody else through fusermount3.
// The library could do both, but not tell what the helper complained of, nor send what it has no call for.
func attach(ctx context.Context, r *raw, dir string, m *fuse.MountOptions) (*fuse.Server, *device, error) {
	options := append([]string{fmt.Sprintf("max_read=%d", m.MaxWrite)}, m.Options...)
	if m.AllowOther {
		options = append(options, "allow_other")
	}
	if m.DirectMount {
		if fd, err := mounthelper.Direct(dir, m.FsName, options); err == nil {
			return serveOn(ctx, fd, r, dir, m)
		}
	}
	fd, err := mounthelper.Attach(ctx, dir, append(options, "fsname="+m.FsName, "subtype="+m.Name))
	if err != nil {
		return nil, nil, err
	}
	return serveOn(ctx, fd, r, dir, m)
}

// serveOn serves the mount on dir whose requests come on fd.
func serveOn(ctx context.Context, fd int, r *raw, dir string, m *fuse.MountOptions) (*fuse.Server, *device, error) {
	given := *m
	given.DirectMount = false
	dev, err := duplicate(fd)
	if err != nil {
		_ = unix.Close(fd)
		_ = mounthelper.Unmount(ctx, dir, true)
		return nil, nil, err
	}
	srv, err := fuse.NewServer(r, fmt.Sprintf("/dev/fd/%d", fd), &given)
	if err != nil {
		dev.close()
		_ = mounthelper.Unmount(ctx, dir, true)
		return nil, nil, err
	}
	return srv, dev, nil
}

// device is a connection to the kernel beside the library's, for what that has no call for.
type device struct{ f *os.File }

func duplicate(fd int) (*device, error) {
	own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	return &device{os.NewFile(uintptr(own), "/dev/fuse")}, nil
}

func (d *device) close() { _ = d.f.Close() }

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
