# What the scripts of TestPrograms share. Each runs twice in an empty folder, $DIR: on a mount and on the local
# filesystem. What it prints is its outcome and must be the same; what it says on standard error is shown when
# it fails. $SRC is a tree with files of all kinds, $TMPDIR a folder of the run's own on the local filesystem.

# size SMALL FULL: the one that this run is about.
size() { if [ -n "$FULL" ]; then echo "$2"; else echo "$1"; fi; }

# report NAME VALUE: a line of the table.
report() { printf '%s\t%s\n' "$1" "$2" >>"$REPORT"; }

# step NAME COMMAND…: does it and reports the seconds it took.
step() {
	local name=$1 begun=${EPOCHREALTIME/./}
	shift
	"$@"
	report "$name" "$(awk -v us=$((${EPOCHREALTIME/./} - begun)) 'BEGIN { printf "%.3f", us / 1e6 }')"
}

# crash: the process that serves the mount is killed, and started again. remount: it ends in order. On the local
# filesystem nothing happens.
crash() { echo crash >&3 && read -r _ <&4 && cd "$DIR"; }
remount() { cd / && echo remount >&3 && read -r _ <&4 && cd "$DIR"; }

# tree: names, kinds, modes, sizes, link counts, targets and bytes below here. times: also when they changed.
tree() {
	find . -mindepth 1 -type d -printf '%P %y %m\n' -o -mindepth 1 -printf '%P %y %m %s %n %l\n' | sort
	find . -type f -print0 | xargs -0 -r sha256sum | sort -k2
}
times() { find . -mindepth 1 -printf '%P %TY-%Tm-%Td %TH:%TM:%TS\n' | sort; }
