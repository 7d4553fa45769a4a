# SQLite with a rollback journal, with a log, and mapped: writers and readers at once, kill -9, the crash of the mount.
# needs: sqlite3=sqlite3

sql() { sqlite3 -cmd '.timeout 60000' "$@"; }
# committer: commits numbers one by one, and writes down each that is committed.
committer() {
	: >"$TMPDIR/acked"
	awk -v pragmas="$pragmas" 'BEGIN { print "pragma synchronous=extra;" pragmas; for (i = 1; i <= 100000; i++) printf "insert into acked values(%d); select '"'row '"' || %d;\n", i, i }' 2>/dev/null |
		stdbuf -oL sqlite3 -bail $db >"$TMPDIR/acked" 2>/dev/null
}
# kept: says whether all that was committed is there. SQLite takes a directory that cannot be opened any more
# for synced: where a commit ends with the removal of the journal, a crash right then takes the last one back.
kept() {
	last=$(sed -n '$s/^row //p' "$TMPDIR/acked")
	[ "$mode $end" != 'delete crash' ] || last=$((last - 1))
	sql $db "select case when max(i) >= $last and count(*) = max(i) then 'all kept' else 'lost: ' || count(*) || ' of $last' end from acked; delete from acked"
}

for mode in $(size 'delete mmap' 'delete truncate wal mmap'); do
	db=$mode.db pragmas= journal=$mode
	[ $mode != mmap ] || journal=wal pragmas='pragma mmap_size=268435456;'
	sqlite3 $db "pragma journal_mode=$journal; create table t(i integer primary key, b blob); create index l on t(length(b)); create table acked(i)"

	jobs=()
	for r in 1 2 3; do
		(for n in $(seq "$(size 2 20)"); do
			sql $db "$pragmas begin immediate; insert into t(b) select zeroblob(value % 900) from generate_series(1,200); delete from t where i % 7 = $r; commit"
		done >/dev/null) &
		jobs+=($!)
		(for n in $(seq "$(size 2 20)"); do sql $db "$pragmas select sum(length(b)) from t; pragma quick_check"; done | grep -v '^[0-9]*$' | sort -u) &
		jobs+=($!)
	done
	for j in "${jobs[@]}"; do wait "$j"; done
	sql $db 'pragma integrity_check; vacuum; pragma wal_checkpoint(truncate)' | grep -v '|'

	n=$(size 50 1000)
	begun=${EPOCHREALTIME/./}
	{ echo "$pragmas"; for i in $(seq "$n"); do echo "insert into t(b) values(zeroblob(100));"; done; } | sqlite3 $db >/dev/null
	report "commits/s, $mode" $((n * 1000000 / (${EPOCHREALTIME/./} - begun)))

	for end in 'kill -9' crash; do
		committer &
		until [ "$(grep -c row "$TMPDIR/acked")" -gt 10 ]; do sleep 0.02; done 2>/dev/null
		sleep "$(size 0.1 2)"
		[ "$end" != crash ] || crash
		pkill -9 -P $! sqlite3 || true # after a crash it may have ended by itself
		wait $! || true
		echo "$mode after $end" && sql $db 'pragma integrity_check' && kept
	done
done
remount
for db in *.db; do sqlite3 $db 'pragma integrity_check; select count(*) >= 50 from t'; done
