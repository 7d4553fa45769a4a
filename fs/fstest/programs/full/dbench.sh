# dbench: the calls that file server clients make.
# needs: dbench=dbench

for clients in 1 8; do
	dbench -t "$(size 2 20)" -D "$DIR" $clients >"$TMPDIR/out"
	report "MB/s, $clients clients" "$(sed -n 's/^Throughput \([0-9.]*\).*/\1/p' "$TMPDIR/out")"
done
find . -type f | wc -l
