//go:build linux

package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
)

// A remount is a mount that is made anew before it is read cold.
type remount struct {
	ends  *ends
	dir   string
	cache string   // what it keeps of what was read; "" for nothing
	args  []string // the program, with its arguments
	back  bool     // it goes into the background by itself when it has mounted

	process *process
}

// peer mounts it, and says which processes read and serve: those whose arguments name reads, or serves.
func (m *remount) peer(dir, reads, serves string) (*peer, error) {
	if err := m.ends.begin(func() error { return os.MkdirAll(m.dir, 0o755) }, m.down); err != nil {
		return nil, err
	}
	if err := m.anew(); err != nil {
		return nil, err
	}
	return &peer{dir: dir, forget: m.anew, cpu: func() (float64, float64) { return cpuOf(reads), cpuOf(serves) }}, nil
}

// anew mounts again, with nothing in any cache.
func (m *remount) anew() error {
	m.down()
	if m.cache != "" {
		kept, err := filepath.Glob(filepath.Join(m.cache, "*"))
		if err != nil {
			return err
		}
		for _, path := range kept {
			if err := os.RemoveAll(path); err != nil {
				return err
			}
		}
	}
	dropCaches()
	if err := m.up(); err != nil {
		return err
	}
	_, err := os.Stat(m.dir) // it answers: what is measured is no longer its start
	return err
}

func (m *remount) up() (err error) {
	if m.back {
		return m.ends.begin(func() error { return command(m.args[0], m.args[1:]...) }, nil)
	}
	if m.process, err = m.ends.start(m.args[0], m.args[1:]...); err != nil {
		return err
	}
	return m.process.until(func() bool { return mounted(m.dir) })
}

func (m *remount) down() {
	unmount(m.dir)()
	if m.process != nil {
		m.process.stop()
	}
}

// sshfs is a mount of the source by sshfs, from an sshd of its own: its keys, its configuration, its port.
func sshfs(e *ends, base, source string) (*peer, error) {
	serve, read := filepath.Join(base, "serve"), filepath.Join(base, "read")
	for _, d := range []string{serve, read} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, err
		}
	}
	if err := separation(e); err != nil {
		return nil, err
	}
	hostKey, userKey := filepath.Join(serve, "host_key"), filepath.Join(read, "user_key")
	for _, key := range []string{hostKey, userKey} {
		if err := command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key); err != nil {
			return nil, err
		}
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	me, err := user.Current()
	if err != nil {
		return nil, err
	}
	public, err := os.ReadFile(hostKey + ".pub")
	if err != nil {
		return nil, err
	}
	known, serverConfig, clientConfig := filepath.Join(read, "known_hosts"), filepath.Join(serve, "sshd_config"), filepath.Join(read, "ssh_config")
	for path, text := range map[string]string{
		known: fmt.Sprintf("[127.0.0.1]:%d %s", port, public),
		// StrictModes would look at who may write above the temporary folder.
		serverConfig: fmt.Sprintf("ListenAddress 127.0.0.1\nPort %d\nHostKey %s\nAuthorizedKeysFile %s.pub\nPidFile none\n"+
			"AllowUsers %s\nPermitRootLogin prohibit-password\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\n"+
			"StrictModes no\nSubsystem sftp internal-sftp\n", port, hostKey, userKey, me.Username),
		clientConfig: fmt.Sprintf("Host source\nHostName 127.0.0.1\nPort %d\nUser %s\nIdentityFile %s\nIdentitiesOnly yes\nIdentityAgent none\n"+
			"UserKnownHostsFile %s\nGlobalKnownHostsFile none\nStrictHostKeyChecking yes\n", port, me.Username, userKey, known),
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	server, err := e.start("/usr/sbin/sshd", "-D", "-e", "-f", serverConfig)
	if err != nil {
		return nil, err
	}
	if err := server.until(listening(port)); err != nil {
		return nil, err
	}
	mnt := filepath.Join(base, "mnt")
	m := &remount{ends: e, dir: mnt, args: []string{"sshfs", "-f", "-F", clientConfig, "source:" + source, mnt}}
	return m.peer(mnt, read, serve)
}

// separation makes the folder that an sshd of root insists on, where no service has made it.
func separation(e *ends) error {
	const dir = "/run/sshd"
	if _, err := os.Stat(dir); err == nil || os.Getuid() != 0 {
		return nil
	}
	return e.begin(func() error { return os.Mkdir(dir, 0o755) }, func() { os.Remove(dir) })
}

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

// freePort is one that nobody has on loopback at the moment.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func listening(port int) func() bool {
	return func() bool {
		c, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err != nil {
			return false
		}
		c.Close()
		return true
	}
}

// cpuOf is the CPU seconds that all processes have used whose arguments name something in the folder, and
// their children.
func cpuOf(folder string) (cpu float64) {
	children := map[int][]int{}
	var named []int
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if f := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:])); len(f) > 1 {
			parent, _ := strconv.Atoi(f[1])
			children[parent] = append(children[parent], pid)
		}
		args, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if strings.Contains(string(args), folder+"/") {
			named = append(named, pid)
		}
	}
	seen := map[int]bool{}
	for len(named) > 0 {
		pid := named[0]
		named = named[1:]
		if seen[pid] {
			continue
		}
		seen[pid] = true
		c, _ := usageOf(pid)
		cpu += c
		named = append(named, children[pid]...)
	}
	return cpu
}
