//go:build linux

package main

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
)

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
