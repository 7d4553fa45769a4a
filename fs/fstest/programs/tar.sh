# A source tree unpacked and packed again.
# needs: tar=tar

tar -C "$SRC" --format=posix -cf "$TMPDIR/src.tar" .
mkdir x
step untar tar -C x -xpf "$TMPDIR/src.tar"
step tar tar -C x --sort=name --format=posix --pax-option=delete=atime,delete=ctime -cf "$TMPDIR/back.tar" .
sha256sum <"$TMPDIR/back.tar"
cd x && tree && times
