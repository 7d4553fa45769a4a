# Git: clone, status, commit, checkout, stash, rebase, worktree, push, gc, fsck; 50,000 objects in the full size.
# needs: git=git

files=$(size 150 50000) commits=$(size 30 4000)
git init -q --bare -b main "$TMPDIR/seed"
awk -v files="$files" -v commits="$commits" '
	function blob(path, n,   i, len) { # sizes from some bytes to some KiB
		printf "M %s inline %s\ndata <<EOB\n", n % 50 ? "100644" : "100755", path
		for (i = n % 97; i >= 0; i--) printf "line %d of revision %d of %s\n", i, n, path
		print "EOB"
	}
	function commit(n) { printf "commit refs/heads/main\ncommitter a <a@b> %d +0000\ndata <<EOB\ncommit %d\nEOB\n", 1e9 + n, n }
	function path(n) { return sprintf("d%d/e%d/file%d", n % 37, n % 11, n) }
	BEGIN {
		commit(0)
		for (i = 0; i < files; i++) blob(path(i), i)
		for (c = 1; c <= commits; c++) { commit(c); blob(path(c * 7919 % files), files + c) }
	}' | git -C "$TMPDIR/seed" fast-import --quiet

step clone git clone -q --no-local "$TMPDIR/seed" work
cd work
step status git status --porcelain
step "status again" git status --porcelain
git diff-files --raw # times must not move after they were seen
sync .
[ "$(id -u)" != 0 ] || echo 1 >/proc/sys/vm/drop_caches
git diff-files --raw
git rev-list --objects --all | wc -l

git checkout -qb topic HEAD~20
for i in $(seq $(size 2 20)); do
	echo "change $i" >>new && mkdir -p "dir$i" && echo "$i" >"dir$i/f" && git mv -k "d$i/e$i/file$i" "dir$i/" && git add -A && git commit -qm "topic $i"
done
step rebase git rebase -q main
step checkout git checkout -q main
test ! -e new
git merge -q --no-ff -m merged topic
step worktree git worktree add -q ../tree HEAD~3
(cd ../tree && git status --porcelain && echo more >more && git add more && git commit -qm elsewhere && git rev-parse HEAD)
git worktree remove ../tree
echo dirty >>new && git stash -q && git stash pop -q && git status --porcelain
git push -q origin HEAD:pushed
step gc git gc -q
step fsck git fsck --strict --no-dangling
git count-objects -v | grep -v size
step "clone on the mount" git clone -q --no-hardlinks . ../again
git -C ../again fsck
step "rm -rf" rm -rf ../again
git rev-parse HEAD HEAD^{tree} stash@{0} 2>/dev/null || true
git ls-files -s | sha256sum
rm -rf .git && tree | sha256sum
