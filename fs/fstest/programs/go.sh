# A Go module built and tested; in the full size this very one, with the build cache on the mount, too.

export GOFLAGS=-buildvcs=false CGO_ENABLED=0
if [ -n "$FULL" ]; then
	(cd "$MODULE" && git ls-files -z | tar --null -T - -cf -) | tar -xf -
	export GOCACHE=$DIR/cache GOFLAGS="-trimpath $GOFLAGS" # the program does not tell where it was built
	pkgs="./blocks/... ./internal/wire ./fs/alias" prog=./cmd/shelf
else
	mkdir double && cd double
	printf 'module example.org/double\n\ngo 1.21\n' >go.mod
	printf 'package main\n\nfunc double(n int) int { return 2 * n }\n\nfunc main() { println(double(21)) }\n' >main.go
	printf 'package main\n\nimport "testing"\n\nfunc TestDouble(t *testing.T) {\n\tif double(2) != 4 {\n\t\tt.Fail()\n\t}\n}\n' >main_test.go
	pkgs=. prog=.
fi
step "go build" go build -o prog $prog
[ -z "$FULL" ] || sha256sum <prog
./prog >"$TMPDIR/said" 2>&1 # whole, for a closed pipe would end it
head -n 3 "$TMPDIR/said"
step "go test" go test -short $pkgs >"$TMPDIR/tested"
awk '{ print $1, $2 }' "$TMPDIR/tested"
step "go build again" go build -o prog $prog
gofmt -l -w . && go vet $pkgs
