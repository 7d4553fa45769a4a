package fstest

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// asOwner makes what visit tries.
const asOwner = `
	umask 022
	echo text > public; echo text > private; chmod 600 private
	echo text > group; chmod 660 group
	mkdir closed open shared drop; echo text > closed/in; chmod 700 closed
	echo text > open/in; chmod 777 shared; chmod 1777 drop; echo text > drop/owners
	echo 'echo ran' > tool; chmod 755 tool
	for f in written copied reserved emptied; do echo text > $f; chmod 6777 $f; done`

// visit is what another user tries; no is what must fail.
const visit = `
	no() { if ( eval "$1" ) 2> /dev/null; then echo "may: $1"; exit 1; fi; }
	[ "$(cat public)" = text ]; [ "$(cat open/in)" = text ]; [ "$(sh ./tool)" = ran ]; [ -x tool ]
	ls > /dev/null; stat private closed > /dev/null
	no 'cat private'; no 'cat group'; no 'echo more >> public'; no ': > public'; no 'truncate -s 0 public'
	no 'ls closed'; no 'cat closed/in'; no 'stat closed/in'; no 'touch closed/new'
	no 'touch new'; no 'mkdir new'; no 'rm -f public'; no 'mv public elsewhere'; no 'ln -s x new'; no 'touch open/new'
	no 'chmod 666 public'; no 'touch -d 2001-01-01 public'; no 'chown $(id -u) public'; no 'python3 -c "import os; os.setxattr(\"public\", \"user.a\", b\"b\")"'
	echo mine > shared/mine; [ "$(stat -c '%u:%g' shared/mine)" = "$(id -u):$(id -g)" ]
	mkdir shared/folder; chmod 700 shared/folder; echo mine > shared/folder/in; [ "$(cat shared/folder/in)" = mine ]
	chmod 600 shared/mine; echo more >> shared/mine; mv shared/mine shared/kept; touch -d 2001-01-01 shared/kept
	no 'chown 0 shared/kept'; no 'chmod u+s public'
	echo mine > drop/mine; no 'rm -f drop/owners'; no 'mv drop/owners drop/x'; rm drop/mine
	echo more >> written; fallocate -l 100 reserved
	python3 -c 'import os; os.copy_file_range(os.open("public", os.O_RDONLY), os.open("copied", os.O_WRONLY), 4)'
	echo -n > emptied
	for i in $(seq 100); do [ "$(stat -c %a written copied reserved emptied | xargs)" != "777 777 777 777" ] || exit 0; sleep 0.02; done
	stat -c '%a %n' written copied reserved emptied; exit 1`

// Other users who are let into a mount may do there what modes and owners say, and the one whose
// mount it is may do no more with what is theirs.
func TestOtherUsers(t *testing.T) {
	if os.Geteuid() != 0 {
		cannot(t, "only root can be other users")
	}
	nobody := &syscall.Credential{Uid: 65534, Gid: 65534}
	as := func(t *testing.T, who *syscall.Credential, dir, script string) {
		t.Helper()
		cmd := exec.Command("bash", "-euo", "pipefail", "-c", script)
		cmd.Dir, cmd.Env = dir, environ()
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
	serve := func(t *testing.T, who *syscall.Credential) *child {
		dir := folder(t, who)
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		return serving(t, dir, who, []string{othersEnv + "=1"})
	}
	t.Run("root", func(t *testing.T) {
		c := serve(t, nil)
		as(t, nil, c.mnt, asOwner)
		as(t, nobody, c.mnt, visit)
	})
	t.Run("user", func(t *testing.T) {
		mayAllowOther(t)
		owner := (&program{user: "daemon"}).credential(t) // fusermount3 wants a user with a name
		c := serve(t, owner)
		as(t, owner, c.mnt, asOwner)
		as(t, nobody, c.mnt, visit)
		as(t, owner, c.mnt, `
			no() { if ( eval "$1" ) 2> /dev/null; then echo "may: $1"; exit 1; fi; }
			no 'cat shared/kept'; no 'ls shared/folder'; no 'chmod 644 shared/kept'; no 'rm -r shared/folder'; rm -f shared/kept`)
		as(t, nil, c.mnt, `[ "$(cat shared/folder/in)" = mine ]; cat private`)
	})
}

// mayAllowOther lets users share their mounts, for this goroutine and what it starts.
func mayAllowOther(t *testing.T) {
	t.Helper()
	conf := filepath.Join(t.TempDir(), "fuse.conf")
	if err := os.WriteFile(conf, []byte("user_allow_other\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	runtime.LockOSThread() // and never unlocked: the thread ends with the test
	for _, err := range []error{
		unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_FS),
		unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount(conf, "/etc/fuse.conf", "", unix.MS_BIND, ""),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
}
