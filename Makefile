# Shelf. `make` or `make help` lists what there is.
GO      ?= go
BIN     := bin
PKGS    ?= ./...
DEST    := $(or $(PREFIX),$(HOME)/.local)/bin
VERSION ?= $(or $(shell git describe --tags --dirty 2>/dev/null),0.1.0-dev)
# Without a usable git the revision is left out, and that is no reason to fail.
VCS     := $(shell git status >/dev/null 2>&1 || echo -buildvcs=false)
LDFLAGS := -s -w -X main.version=$(VERSION)
# Pinned, so that a new release of a tool cannot fail an old commit.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME ?= 10s
CROSS    ?= darwin/arm64 windows/amd64
# Packages where goroutines meet: the race detector pays there.
RACE ?= ./cache ./fetch/... ./fs ./internal/control/... ./internal/guest ./internal/heat ./internal/hydration ./internal/kv ./internal/namespace ./internal/placement ./internal/replicate

export CGO_ENABLED = 0

.DEFAULT_GOAL := help
.PHONY: help run demo build install test conformance programs soak unit lint fmt vet staticcheck race fuzz sim sim-mutants hitratios bench bench-neighbours cross clean prepare prepare-tests bench-peers

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

run: prepare build ## build everything and see it work: two devices on this machine
	$(BIN)/shelf demo $(ARGS)

demo: run

build: ## build bin/shelf
	@mkdir -p $(BIN)
	$(GO) build $(VCS) -ldflags '$(LDFLAGS)' -o $(BIN)/shelf ./cmd/shelf

install: build ## put shelf into ~/.local/bin (or PREFIX/bin)
	install -d $(DEST)
	install -m 755 $(BIN)/shelf $(DEST)/shelf
	@case ":$$PATH:" in *:$(DEST):*) ;; *) echo "$(DEST) is not in your PATH:  export PATH=$(DEST):\$$PATH" ;; esac

test: prepare-tests ## run all tests, those that mount included
	$(GO) test -timeout 20m $(PKGS)

conformance: ## the filesystem's suite over every adapter, that for Windows through libfuse, too
	@.ci/prepare conformance
	CGO_ENABLED=1 $(GO) test -count=1 -timeout 20m -tags cgofuse ./fs/... $(ARGS)

programs: ## git, databases, builds, editors, stress on a mount and on the local filesystem, and how long each takes there
	@.ci/prepare programs
	$(GO) test -count=1 -v -timeout 3h ./fs/fstest -run 'TestPrograms$$' -programs.full $(ARGS)

soak: programs ## the filesystem under load, at random, with kill -9 and power cuts, some thousand times, and `make programs`: two hours
	$(GO) test -count=1 -v -timeout 2h ./fs/fstest -run 'TestKill$$|TestPower$$|TestImage$$|TestStress|TestRandom' \
		-kill.rounds 300 -power.rounds 3000 -image.rounds 200 -random.rounds 300 $(ARGS)

unit: ## run the quick tests of one or more packages: make unit PKGS=./cache
	$(GO) test -short $(PKGS)

lint: fmt vet staticcheck ## format, vet, staticcheck

staticcheck:
	$(GO) run $(STATICCHECK) $(PKGS)

fmt: ## fail if a file is not formatted
	@out=$$(gofmt -l $$(find . -name '*.go' -not -path './.cache/*')); if [ -n "$$out" ]; then echo "not formatted (gofmt -w):"; echo "$$out"; exit 1; fi

vet: ## go vet
	$(GO) vet $(PKGS)

# One that counts bytes is left to the other tests: nothing runs beside it.
race: ## run the tests of the concurrent packages under the race detector (needs a C compiler)
	CGO_ENABLED=1 $(GO) test -race -short -skip '^TestWriteAmplification$$' $(RACE)

fuzz: ## fuzz each decoder of foreign bytes for FUZZTIME (10s)
	@GO='$(GO)' FUZZTIME='$(FUZZTIME)' .ci/fuzz

sim: ## simulate the merge on random histories until stopped, or N=… of them, or for FOR=2m
	$(GO) run ./internal/namespace/sim/cmd/sim $(if $(N),-n $(N)) $(if $(FOR),-for $(FOR)) $(ARGS)

sim-mutants: ## switch each merge rule off and see the simulation fail: the table of rule, seed and time
	$(GO) run ./internal/namespace/sim/cmd/mutants $(if $(FOR),-for $(FOR)) $(ARGS)

hitratios: ## the cache's hit ratios on golden traces, beside LRU, ARC and S3-FIFO
	$(GO) test ./cache -count=1 -v -run 'TestHitRatios$$'

bench-neighbours: build ## the mount beside the local disk, gocryptfs and rclone, in one table
	@.ci/prepare neighbours
	$(GO) run ./internal/bench -neighbours -rounds 3 -entries 100000 $(ARGS)

bench-peers: build ## what only another device has: Shelf beside sshfs, rclone, davfs2 and Syncthing
	@.ci/prepare peers
	$(GO) run ./internal/bench -peers -mib 1024 -files 10000 -rounds 3 $(ARGS)

bench: prepare-tests build ## print the table of figures, with the limits beside them
	$(GO) run ./internal/bench

cross: ## build for the other systems
	@for t in $(CROSS); do \
		echo "build $$t"; GOOS=$${t%/*} GOARCH=$${t#*/} $(GO) build $(VCS) -o /dev/null ./cmd/shelf || exit 1; \
	done

clean: ## remove what was built
	rm -rf $(BIN) .cache

prepare: # what mounting needs on this machine: install it, or say what is missing
	@.ci/prepare

prepare-tests: # and the programs that the tests run on a mount
	@.ci/prepare tests
