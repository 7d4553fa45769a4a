# A source tree copied, and found to be the same by times and by checksums; then changed a little.
# needs: rsync=rsync

step rsync rsync -aHX "$SRC/" x/
step "rsync again" rsync -aHXi "$SRC/" x/
step "rsync, checksums" rsync -aHXic "$SRC/" x/
(cd x && tree && times)
cp -a "$SRC" "$TMPDIR/changed"
(cd "$TMPDIR/changed" && echo more >>big && rm -r a/b/c && chmod 640 a/b/f7 && mv a/b/f8 d/ && ln -sfn f9 soft)
rsync -aHXi --delete "$TMPDIR/changed/" x/
rsync -aHXi --delete --inplace --no-whole-file "$SRC/" x/
rsync -aHXic "$SRC/" x/
cd x && tree && times
