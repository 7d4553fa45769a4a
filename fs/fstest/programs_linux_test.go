package fstest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// sh runs a script in dir; a program that is not installed fails the test.
func sh(t *testing.T, dir, script string) string {
	t.Helper()
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b",
		"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
}

// source makes a tree of files, links, times and modes outside the mount.
func source(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ok(os.MkdirAll(dir+"/a/b/c", 0o755))
	ok(os.Mkdir(dir+"/d", 0o755))
	for i := range 120 {
		ok(os.WriteFile(fmt.Sprintf("%s/a/b/f%d", dir, i), random(int64(i), i*37), 0o644))
	}
	ok(os.WriteFile(dir+"/big", random(1, 3000000), 0o644))
	sh(t, dir, `
		ln a/b/f1 hard; ln -s a/b/f2 soft; ln -s nowhere dangling
		chmod 600 a/b/f3; chmod 755 a/b/f4; chmod 2755 d; chmod 4755 a/b/f5
		touch -d '2001-02-03 04:05:06.123456789' a/b/f6; touch -h -d '2002-03-04 05:06:07.5' soft
		: > empty; printf x > 'name with spaces'
		mkfifo pipe; touch -h -d '2004-01-01 01:01:01.25' pipe dangling big hard empty
		touch -d '2003-04-05 06:07:08.9' a/b/c a/b a d`)
	return dir
}

// listing shows kinds, modes, times, links and bytes of a tree.
const listing = `find . -mindepth 1 -printf '%P %y %m %s %l %TY-%Tm-%Td %TH:%TM:%TS\n' | sed -E 's/^(a|a\/b|a\/b\/c|d) d ([0-9]+) [0-9]+/\1 d \2/' | sort; find . -type f -exec sha256sum {} + | sort -k2`

func sameTree(t *testing.T, a, b string) {
	t.Helper()
	x, y := sh(t, a, listing), sh(t, b, listing)
	if x != y {
		var diff []string
		have := map[string]bool{}
		for _, l := range strings.Split(x, "\n") {
			have[l] = true
		}
		for _, l := range strings.Split(y, "\n") {
			if !have[l] {
				diff = append(diff, l)
			}
		}
		t.Fatalf("trees differ; only in the second:\n%s", strings.Join(diff, "\n"))
	}
}

func TestTar(t *testing.T) {
	needs(t, "tar")
	c, src := mounted(t), source(t)
	sh(t, c.mnt, "mkdir x; tar -C "+src+" --format=posix -cf - . | tar -C x -xpf -")
	sameTree(t, src, filepath.Join(c.mnt, "x"))
	sh(t, c.mnt, "tar -C x -cf - . | tar -C "+t.TempDir()+" -xf -")
}

func TestRsync(t *testing.T) {
	needs(t, "rsync")
	c, src := mounted(t), source(t)
	dst := filepath.Join(c.mnt, "x")
	sh(t, c.mnt, "rsync -aHX "+src+"/ "+dst+"/")
	sameTree(t, src, dst)
	if out := sh(t, c.mnt, "rsync -aHXi "+src+"/ "+dst+"/"); out != "" {
		t.Errorf("a second run finds changes:\n%s", out)
	}
	if out := sh(t, c.mnt, "rsync -aHXic "+src+"/ "+dst+"/"); out != "" {
		t.Errorf("a run with checksums finds changes:\n%s", out)
	}
}

func TestCopy(t *testing.T) {
	c, src := mounted(t), source(t)
	dst := filepath.Join(c.mnt, "x")
	sh(t, c.mnt, "cp -a "+src+" x; cp -a x y; diff -r --no-dereference -x pipe x y; mv y z; cp -a z/. y")
	sameTree(t, src, dst)
	sameTree(t, src, filepath.Join(c.mnt, "y"))
	sh(t, c.mnt, "rm -r x y z; test -z \"$(ls -A)\"")
}

func TestGit(t *testing.T) {
	needs(t, "git")
	c, src := mounted(t), source(t)
	sh(t, src, "rm pipe; git init -q -b main; git add -A; git commit -qm one; git branch other")
	sh(t, c.mnt, `
		git clone -q `+src+` work && cd work
		test -z "$(git status --porcelain)"
		sync . && sleep 0.1 && { echo 3 > /proc/sys/vm/drop_caches || true; } 2>/dev/null
		test -z "$(git diff-files --raw)" # times must not move after they were seen
		echo change >> big; echo new > new; git add -A; git commit -qm two
		git checkout -q other && test ! -e new && git checkout -q main && test -e new
		git mv new renamed && git commit -qm three
		git gc -q && git fsck --strict
		git stash list; echo dirty >> big; git stash -q; git stash pop -q
		git push -q origin HEAD:pushed
		test "$(git status --porcelain)" = " M big"
		cd .. && git clone -q --no-hardlinks work again && git -C again fsck && rm -rf again`)
}

func TestSQLite(t *testing.T) {
	needs(t, "sqlite3")
	for _, mode := range []string{"delete", "wal"} {
		t.Run(mode, func(t *testing.T) {
			c := mounted(t)
			sh(t, c.mnt, `
				sqlite3 db "pragma journal_mode=`+mode+`; create table t(i integer primary key, b blob);" >/dev/null
				for r in 1 2 3; do
					(for n in 1 2 3; do
						sqlite3 -cmd '.timeout 20000' db "begin immediate; insert into t(b) select randomblob(700) from generate_series(1,200); delete from t where i % 7 = $r; commit;"
					done) &
				done; wait
				test "$(sqlite3 db 'pragma integrity_check')" = ok
				sqlite3 db 'vacuum; pragma wal_checkpoint(truncate);' >/dev/null
				test "$(sqlite3 db 'pragma integrity_check')" = ok
				sqlite3 db 'select count(*) from t'`)
			sum := sh(t, c.mnt, "sqlite3 db 'select count(*), sum(length(b)), sum(i) from t'")
			c.ask("fetch")
			c.quit()
			again := mountedAt(t, c.dir)
			if got := sh(t, again.mnt, "sqlite3 db 'select count(*), sum(length(b)), sum(i) from t; pragma integrity_check'"); got != sum+"ok\n" {
				t.Errorf("after a restart: %q, before %q", got, sum)
			}
		})
	}
}

func TestEditors(t *testing.T) {
	c := mounted(t)
	sh(t, c.mnt, `
		printf one > doc
		for i in 1 2 3 4; do
			printf "save $i" > .doc.swp; sync .doc.swp; mv .doc.swp doc      # rename over
			test "$(cat doc)" = "save $i"
			cp doc doc~; printf "in place $i" > doc; rm doc~                  # backup, then truncate
			test "$(cat doc)" = "in place $i"
			sed -i "s/place/spot/" doc; test "$(cat doc)" = "in spot $i"
			perl -i -pe 's/spot/site/' doc; test "$(cat doc)" = "in site $i"
			ln doc doc.bak; rm doc; mv doc.bak doc; test "$(cat doc)" = "in site $i"
		done
		test "$(ls -A)" = doc`)
}

func TestBuild(t *testing.T) { // many processes that map, write and run files
	needs(t, "gcc", "make")
	c := mounted(t)
	sh(t, c.mnt, `
		for i in $(seq 6); do echo "int f$i(void){return $i;}" > f$i.c; done
		{ for i in $(seq 6); do echo "int f$i(void);"; done; echo "int main(void){return 0"; for i in $(seq 6); do echo "+f$i()"; done; echo "-21;}"; } > main.c
		printf 'prog: $(patsubst %%.c,%%.o,$(wildcard *.c))\n\tgcc -o $@ $^\n' > Makefile
		make -s -j4 && ./prog && make -s -j4 | cat && touch f3.c && make | grep -q gcc && ./prog && ar rc lib.a f1.o f2.o && make clean 2>/dev/null || test -x prog`)
}
