package mounthelper

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/shelffs/shelf/internal/errs"
)

// Helper finds fusermount3, or the older fusermount: in PATH, and else where the systems keep it,
// because the PATH of a service may be short or empty. Unsupported: it is not installed.
func Helper() (path string, err error) {
	for _, name := range []string{"fusermount3", "fusermount"} {
		for _, dir := range []string{"", "/usr/bin", "/bin"} {
			if path, err = exec.LookPath(filepath.Join(dir, name)); err == nil {
				return path, nil
			}
		}
	}
	return "", errs.E("mounthelper.Helper", errs.Unsupported, "fusermount3 is not installed", nil)
}

// Attach mounts a FUSE filesystem on dir, which Prepare has made ready, through the helper, which
// is set-uid root. It returns the descriptor on which the kernel asks, which the caller closes.
// When the helper refuses, the error is what it says.
func Attach(ctx context.Context, dir string, options []string) (fd int, err error) {
	const op = "mounthelper.Attach"
	bin, err := Helper()
	if err != nil {
		return -1, err
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, errs.FromOS(op, dir, err)
	}
	defer unix.Close(pair[0])
	theirs := os.NewFile(uintptr(pair[1]), "fusermount")
	err = run(ctx, bin, []*os.File{theirs}, "-o", strings.Join(options, ","), "--", dir)
	theirs.Close() // so that what follows does not wait for a helper that sent nothing
	if err == nil {
		fd, err = receive(pair[0])
	}
	if err != nil {
		return -1, errs.E(op, errs.OS(err), dir, err)
	}
	return fd, nil
}

// run runs the helper; extra files begin at descriptor 3. What it complains of is the error.
func run(ctx context.Context, bin string, extra []*os.File, args ...string) error {
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, bin, args...)
	cmd.Stderr, cmd.ExtraFiles = &out, extra
	cmd.Env = append(os.Environ(), "LC_ALL=C", "_FUSE_COMMFD=3")
	err := cmd.Run()
	if text := strings.TrimSpace(out.String()); err != nil && text != "" {
		return errors.New(text)
	}
	return err
}

// receive takes the descriptor that the helper sent.
func receive(socket int) (int, error) {
	buf, oob := make([]byte, 4), make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(socket, buf, oob, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return -1, err
	}
	msgs, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil {
		return -1, err
	}
	for i := range msgs {
		if fds, err := unix.ParseUnixRights(&msgs[i]); err == nil && len(fds) == 1 {
			return fds[0], nil
		}
	}
	return -1, errors.New("fusermount3 mounted nothing")
}
