# stress-ng's filesystem stressors with their own checks, one after the other.
# needs: stress-ng=stress-ng

# Left out, since they are about the machine and not about the folder: access (users), bind-mount, binderfs, dnotify, dup, eventfd,
# fanotify (root's), ioprio, procfs. Since FUSE has no such thing: chattr and inode-flags (chattr flags), fiemap, lease, verity.
stressors="chdir chmod chown copy-file dentry dir dirdeep dirmany fallocate fcntl file-ioctl filename flock fpunch fsize fstat
	getdent handle hdd inotify io iomix link locka lockf lockofd mknod open rename symlink sync-file touch utime xattr"
for s in $stressors; do
	code=0
	timeout -k 5 60 stress-ng --temp-path "$DIR" --$s 2 --timeout 1 --verify --metrics-brief >"$TMPDIR/out" 2>&1 || code=$?
	echo "$s: $code $(sed -n 's/.*\(fail:.*\)/\1/p' "$TMPDIR/out" | head -n 3)"
	ops=$(sed -n "s/^stress-ng: metrc: \[[0-9]*\] $s  *[0-9]*  *[0-9.]*  *[0-9.]*  *[0-9.]*  *\([0-9.]*\).*/\1/p" "$TMPDIR/out")
	report "$s, ops/s" "${ops:-0}"
done
ls -A
