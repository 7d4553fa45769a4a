# A source tree copied, compared, moved, searched, measured and removed.

step "cp -a" cp -a "$SRC" x
cp -a x y
step "diff -r" diff -r --no-dereference -x pipe x y
mv y z
cp -a z/. y
(cd y && tree && times)
step find find x -newermt 2001-01-01 -size +1k -perm -u=w -name '*[0-9]*' -fprint "$TMPDIR/found"
sort "$TMPDIR/found"
step du du -s --apparent-size x >/dev/null
find x -type f -printf '%s\n' | awk '{ n += $1 } END { print n }'
step grep grep -rl x x | sort
step "chmod -R" chmod -R go-rwx x
find x -perm /077 ! -type l
step "rm -rf" rm -rf x
rm -r y z
ls -A
