//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
)

// webdav is the source served by rclone, and two mounts of that: by rclone and by davfs2.
func webdav(e *ends, base, source string) (viaRclone, viaDavfs2 *peer, err error) {
	port, err := freePort()
	if err != nil {
		return nil, nil, err
	}
	serve, readR, readD := filepath.Join(base, "serve"), filepath.Join(base, "rclone"), filepath.Join(base, "davfs2")
	for _, d := range []string{serve, readR, readD} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, nil, err
		}
	}
	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	server, err := e.start("rclone", "serve", "webdav", "--config", filepath.Join(serve, "rclone.conf"), "--cache-dir", filepath.Join(serve, "cache"),
		"--addr", url[len("http://"):], source)
	if err != nil {
		return nil, nil, err
	}
	if err := server.until(listening(port)); err != nil {
		return nil, nil, err
	}
	mnt, cache := filepath.Join(base, "mnt-rclone"), filepath.Join(readR, "cache")
	m := &remount{ends: e, dir: mnt, cache: cache, args: []string{"rclone", "mount", "--config", filepath.Join(readR, "rclone.conf"),
		"--cache-dir", cache, "--vfs-cache-mode", "full", "--webdav-url", url, ":webdav:", mnt}}
	if viaRclone, err = m.peer(mnt, readR, serve); err != nil {
		return nil, nil, err
	}

	mnt, cache = filepath.Join(base, "mnt-davfs2"), filepath.Join(readD, "cache")
	// Kernels ask for 32 KiB of a directory at once, which davfs2 refuses with its 16 KiB of buffer.
	config, secrets := filepath.Join(readD, "davfs2.conf"), filepath.Join(readD, "secrets")
	for path, text := range map[string]string{
		secrets: "",
		config:  fmt.Sprintf("secrets %s\ncache_dir %s\ncache_size %d\nbuf_size 256\nask_auth 0\nuse_locks 0\n", secrets, cache, 1<<20),
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return nil, nil, err
		}
	}
	if err := forDavfs2(cache, readD, base, filepath.Dir(base)); err != nil {
		return nil, nil, err
	}
	m = &remount{ends: e, dir: mnt, cache: cache, back: true, args: []string{"mount.davfs", url, mnt, "-o", "conf=" + config}}
	if viaDavfs2, err = m.peer(mnt, readD, serve); err != nil {
		return nil, nil, err
	}
	viaDavfs2.whole = true
	return viaRclone, viaDavfs2, nil
}

// forDavfs2 makes a folder for the group as which davfs2 runs when root mounts, and lets that user through
// those above it.
func forDavfs2(dir string, above ...string) error {
	u, err := user.Lookup("davfs2")
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, d := range above {
		if err := os.Chmod(d, 0o711); err != nil {
			return err
		}
	}
	return errors.Join(os.Chown(dir, -1, gid), os.Chmod(dir, 0o770))
}
