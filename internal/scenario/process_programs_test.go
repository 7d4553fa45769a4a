//go:build linux

package scenario

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// The programs people use, each as one shell script in a fresh folder of the mount ($M), with plain files to
// work from ($S). A script fails by its exit code.
var programs = map[string]string{
	"git": `git clone -q "$S/repo" "$M/clone" && cd "$M/clone" && git fsck --strict &&
		git -c user.name=x -c user.email=x@y commit -q --allow-empty -m two && echo more >> f50 && git add -A &&
		git -c user.name=x -c user.email=x@y commit -q -m three && git gc -q && git fsck --strict && test -z "$(git status --porcelain)"`,
	"sqlite rollback": `cd "$M" && sqlite3 r.db "pragma journal_mode=delete; create table t(a,b); begin;
		insert into t select value, randomblob(500) from generate_series(1,3000); commit; update t set b=randomblob(400) where a%7=0; delete from t where a%3=0;" &&
		test "$(sqlite3 r.db 'pragma integrity_check')" = ok && test "$(sqlite3 r.db 'select count(*) from t')" = 2000`,
	"sqlite wal": `cd "$M" && sqlite3 w.db "pragma journal_mode=wal; create table t(a,b);
		insert into t select value, randomblob(500) from generate_series(1,3000); pragma wal_checkpoint; delete from t where a%3=0;" &&
		test "$(sqlite3 w.db 'pragma integrity_check')" = ok && test "$(sqlite3 w.db 'select count(*) from t')" = 2000`,
	"tar":   `tar -C "$S" -cf - repo | tar -C "$M" -xf - && diff -r "$S/repo" "$M/repo" && tar -C "$M" -cf - repo | tar -tf - > /dev/null`,
	"rsync": `rsync -a "$S/repo/" "$M/synced/" && test -z "$(rsync -ain --delete "$S/repo/" "$M/synced/")"`,
	"cp":    `cp -a "$S/repo" "$M/copied" && diff -r "$S/repo" "$M/copied" && test "$(stat -c %Y "$S/repo/f1")" = "$(stat -c %Y "$M/copied/f1")"`,
	"editor": `cd "$M" && echo one > doc.txt && chmod 640 doc.txt && ino=$(stat -c %i doc.txt) && echo two > .doc.txt.swp && sync .doc.txt.swp &&
		mv .doc.txt.swp doc.txt && test "$(cat doc.txt)" = two && test ! -e .doc.txt.swp && test -n "$ino"`,
	"unlink while open": `cd "$M" && exec 3<>open.txt && echo kept >&3 && rm open.txt && test ! -e open.txt && test "$(cat /proc/self/fd/3 2>/dev/null || cat <&3)" != x && exec 3>&-`,
	"find and du":       `mkdir -p "$M/t/a/b" && touch "$M/t/a/1" "$M/t/a/b/2" && test "$(find "$M/t" -type f | wc -l)" = 2 && du -s "$M/t" && rm -rf "$M/t" && test ! -e "$M/t"`,
	"df":                `test "$(df --output=avail "$M" | tail -1)" -gt 1000`,
}

func TestProgramsLiveOnTheMount(t *testing.T) {
	t.Parallel()
	src := t.TempDir()
	script(t, `cd "$S" && git init -q repo && cd repo && for i in $(seq 200); do echo "file $i" > f$i; done && mkdir -p a/b && head -c 300000 /dev/urandom > a/b/bin &&
		ln -s ../f1 a/link && chmod 755 f2 && git add -A && git -c user.name=x -c user.email=x@y commit -q -m one`, "S="+src)
	a, b := newDevice(t, "a").up(), newDevice(t, "b")
	a.admit(b)
	b.up()
	for name, code := range programs {
		t.Run(name, func(t *testing.T) {
			dir, err := os.MkdirTemp(a.mnt, "program-")
			if err != nil {
				t.Fatal(err)
			}
			script(t, code, "S="+src, "M="+dir)
			// What the program left behind reads the same on the other device.
			other := filepath.Join(b.mnt, filepath.Base(dir))
			eventually(t, 60*time.Second, "the same tree on b", func() bool {
				return exec.Command("diff", "-r", "--no-dereference", dir, other).Run() == nil
			})
		})
	}
}

func script(t *testing.T, code string, env ...string) {
	t.Helper()
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", code)
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
