# PostgreSQL: initdb, pgbench, kill -9 of it, then of what serves the mount as well; nothing committed is lost.
# needs: pg_createcluster=postgresql
# user: postgres

PATH=$(echo /usr/lib/postgresql/*/bin | tr ' ' '\n' | sort -V | tail -n 1):$PATH
export PGHOST=$TMPDIR PGDATABASE=postgres
trap 'kill -9 $master $(pgrep -P $master) 2>/dev/null || true; tail -n 20 "$TMPDIR/log" >&2' EXIT
start() {
	postgres -D "$DIR/data" -c listen_addresses= -c unix_socket_directories="$TMPDIR" >>"$TMPDIR/log" 2>&1 &
	master=$!
	for i in $(seq 600); do
		if pg_isready -q; then return; fi
		sleep 0.1
	done
	return 1
}
ask() { psql -XAtqc "$1"; }

# committer N: inserts rows one by one and writes down each that is committed.
committer() {
	for i in $(seq 100000); do echo "insert into acked values($1, $i);"; echo "\\echo $i"; done |
		stdbuf -oL psql -Xq -v ON_ERROR_STOP=1 >"$TMPDIR/acked.$1" 2>/dev/null || true
}
kept() {
	local w last
	for w in 1 2 3; do
		last=$(tail -n 1 "$TMPDIR/acked.$w")
		ask "select case when count(*) >= ${last:-1} and max(i) = count(*) then 'all kept' else 'lost: ' || count(*) || ' of ${last:-none}' end from acked where w = $w"
	done
	ask 'delete from acked'
}
balanced() { ask 'select (select sum(abalance) from pgbench_accounts) = (select sum(tbalance) from pgbench_tellers) and (select sum(bbalance) from pgbench_branches) = (select sum(delta) from pgbench_history)'; }

step initdb initdb -k -D data -A trust -E UTF8 --locale=C >/dev/null
start
step "pgbench -i" pgbench -i -q -s "$(size 1 10)" 2>/dev/null
n=$(size 100 1500)
begun=${EPOCHREALTIME/./}
pgbench -n -c 4 -j 2 -t "$n" 2>&1 | grep 'failed'
report "transactions/s" $((4 * n * 1000000 / (${EPOCHREALTIME/./} - begun)))
balanced
ask 'create table acked(w int, i int)'
for end in 'kill -9' crash; do
	for w in 1 2 3; do committer $w & done
	pgbench -n -c 2 -t 100000 >/dev/null 2>&1 &
	sleep "$(size 2 10)"
	[ "$end" != crash ] || crash
	kill -9 $master $(pgrep -P $master) || true # after a crash it may have given up by itself
	wait || true
	start
	echo "after $end"
	kept
	balanced
	pg_amcheck --heapallindexed --install-missing -d postgres
done
ask 'vacuum full'
kill -INT $master && wait $master
remount
pg_checksums --check -D data | grep -i bad
