package probe

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// system is what Run looks at; tests give another one.
type system struct {
	root     string // prefix of every absolute path that is read
	euid     int
	lookPath func(name string) (string, error)
	openFuse func(path string) error
}

// Run looks at this system.
func Run() Report {
	return system{
		euid:     os.Geteuid(),
		lookPath: exec.LookPath,
		openFuse: func(p string) error {
			fd, err := unix.Open(p, unix.O_RDWR|unix.O_CLOEXEC, 0)
			if err == nil {
				unix.Close(fd)
			}
			return err
		},
	}.run()
}

func (s system) run() Report {
	pkg := s.installer()
	return Report{Findings: []Finding{s.device(), s.helper(pkg), s.allowOther()}}
}

func (s system) device() Finding {
	f := Finding{ID: "fuse-device", Fatal: true}
	err := s.openFuse(filepath.Join(s.root, "/dev/fuse"))
	switch {
	case err == nil:
		f.OK, f.What = true, "/dev/fuse can be opened"
	case errors.Is(err, fs.ErrPermission):
		f.What, f.Fix = "/dev/fuse is there, but this user may not open it", "sudo chmod 0666 /dev/fuse (or add this user to the group that owns it)"
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		f.What, f.Fix = "the kernel offers no /dev/fuse", "sudo modprobe fuse"
		if s.container() {
			f.What, f.Fix = "this container has no /dev/fuse", "start the container with --device /dev/fuse --cap-add SYS_ADMIN"
		}
	default:
		f.What, f.Fix = "/dev/fuse cannot be opened ("+err.Error()+")", "sudo modprobe fuse"
	}
	return f
}

// helper looks for fusermount3, through which a user without privileges mounts.
func (s system) helper(pkg string) Finding {
	f := Finding{ID: "fusermount", Fatal: s.euid != 0}
	for _, name := range []string{"fusermount3", "fusermount"} {
		p, err := s.lookPath(name)
		for _, dir := range []string{"/usr/bin", "/bin"} { // as mounthelper.Helper looks
			if err != nil {
				p, err = s.lookPath(filepath.Join(s.root, dir, name))
			}
		}
		if err != nil {
			continue
		}
		st, err := os.Stat(p)
		if err == nil && s.euid != 0 && st.Mode()&fs.ModeSetuid == 0 && !s.container() {
			f.What, f.Fix = p+" is not set-uid root", "sudo chmod u+s "+p
			return f
		}
		if _, err := os.Stat(filepath.Join(s.root, "/etc/mtab")); err != nil && s.euid != 0 {
			f.What, f.Fix = "/etc/mtab is missing, without which "+name+" cannot unmount", "sudo ln -s /proc/self/mounts /etc/mtab"
			return f
		}
		f.OK, f.What = true, p+" is installed"
		return f
	}
	f.What, f.Fix = "fusermount3 is not installed", pkg
	if s.euid == 0 {
		f.OK, f.What, f.Fix = true, "fusermount3 is not installed, and root does not need it", ""
	}
	return f
}

func (s system) allowOther() Finding {
	f := Finding{ID: "allow-other"}
	if s.euid == 0 {
		f.OK, f.What = true, "root may let other users into a mount"
		return f
	}
	b, _ := os.ReadFile(filepath.Join(s.root, "/etc/fuse.conf"))
	for _, line := range strings.Split(string(b), "\n") {
		if strings.TrimSpace(line) == "user_allow_other" {
			f.OK, f.What = true, "/etc/fuse.conf lets users share their mounts with others"
			return f
		}
	}
	f.What = "only the user who mounts can see the mount: the usual, safe setting (user_allow_other in /etc/fuse.conf lets others in)"
	return f
}

func (s system) container() bool {
	for _, p := range []string{"/.dockerenv", "/run/.containerenv"} {
		if _, err := os.Stat(filepath.Join(s.root, p)); err == nil {
			return true
		}
	}
	return false
}

// installer is the command that installs fuse3 on this distribution.
func (s system) installer() string {
	b, _ := os.ReadFile(filepath.Join(s.root, "/etc/os-release"))
	var ids []string
	for _, line := range strings.Split(string(b), "\n") {
		k, v, _ := strings.Cut(line, "=")
		if k == "ID" || k == "ID_LIKE" {
			ids = append(ids, strings.Fields(strings.Trim(v, `"'`))...)
		}
	}
	for _, id := range ids {
		switch id {
		case "debian", "ubuntu":
			return "sudo apt-get install fuse3"
		case "fedora", "rhel", "centos":
			return "sudo dnf install fuse3"
		case "arch":
			return "sudo pacman -S fuse3"
		case "suse", "opensuse":
			return "sudo zypper install fuse3"
		case "alpine":
			return "sudo apk add fuse3"
		case "nixos":
			return "programs.fuse.enable = true; in configuration.nix"
		}
	}
	return "install the package fuse3"
}
