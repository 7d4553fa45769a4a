package archtest

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/shelffs/shelf/"

// A rule says what one package is for and which of ours it may import. Test files are
// free to import more: they build scenes out of real parts.
type rule struct {
	job string
	may string // space-separated
}

var rules = map[string]rule{
	"internal/errs":                      {"kinds of error", ""},
	"internal/logfold":                   {"log lines that would repeat", ""},
	"internal/ident":                     {"ids, key pairs, signatures", "internal/errs"},
	"internal/kdf":                       {"derivation labels", ""},
	"internal/gc":                        {"how often garbage is collected", ""},
	"internal/guest":                     {"what the machine and its networks allow, and limits", "fetch"},
	"internal/wire":                      {"frames and CBOR common to all protocols", "internal/errs"},
	"internal/keystore":                  {"the home's master key", "internal/errs internal/kdf"},
	"internal/config":                    {"the home's layout and settings", "fs/alias internal/errs"},
	"blocks":                             {"what a block is", "internal/errs"},
	"blocks/chunker":                     {"bytes to block boundaries", "blocks internal/errs"},
	"blocks/seal":                        {"the only code that sees plaintext and ciphertext of a block", "blocks internal/kdf internal/ident internal/errs"},
	"blocks/content":                     {"a file's bytes as a tree of sealed blocks", "blocks blocks/seal blocks/chunker internal/errs"},
	"internal/kv":                        {"the encrypted key-value store", "internal/kdf internal/errs"},
	"cache":                              {"sealed blocks on this device", "blocks internal/kv internal/kdf internal/logfold internal/errs"},
	"internal/namespace":                 {"this device's replica of the tree", "internal/namespace/merge blocks internal/ident internal/kv internal/wire internal/errs"},
	"internal/namespace/merge":           {"state and record to state, pure", "blocks internal/ident internal/errs"},
	"internal/namespace/sim":             {"random histories of simulated devices, their invariants", "internal/namespace blocks internal/ident internal/kv internal/errs"},
	"internal/namespace/sim/cmd/mutants": {"switches each rule off and sees the simulation fail", ""},
	"internal/namespace/sim/cmd/sim":     {"plays them until one fails", "internal/namespace/sim"},
	"internal/share":                     {"membership logs, keys, invitations", "internal/ident internal/kdf internal/kv internal/wire internal/errs"},
	"internal/replicate":                 {"records between devices", "internal/namespace internal/namespace/merge internal/share internal/ident internal/kdf internal/wire internal/errs"},
	"internal/placement":                 {"what is kept where", "internal/namespace internal/namespace/merge blocks cache fetch/exchange internal/ident internal/kv internal/wire internal/logfold internal/errs"},
	"internal/p2p":                       {"the only importer of libp2p", "internal/ident internal/wire internal/errs"},
	"fetch":                              {"wanted blocks: what first, from whom", "blocks internal/ident internal/errs"},
	"fetch/exchange":                     {"asking devices for blocks and serving ours", "fetch blocks internal/ident internal/wire internal/errs"},
	"fs":                                 {"the platform-neutral filesystem", "fs/alias blocks blocks/content blocks/chunker blocks/seal internal/namespace internal/namespace/merge internal/ident internal/logfold internal/errs"},
	"fs/alias":                           {"how names show where they clash or cannot be, pure", ""},
	"fs/fusefs":                          {"the go-fuse adapter", "fs fs/handles fs/herald mounthelper internal/namespace internal/errs"},
	"fs/davfs":                           {"the WebDAV adapter", "fs fs/paths internal/namespace internal/errs"},
	"fs/winfs":                           {"the WinFsp adapter", "fs fs/paths fs/handles internal/namespace internal/errs"},
	"fs/handles":                         {"what is open at an adapter", ""},
	"fs/holes":                           {"what is known of holes in files", "fs blocks internal/namespace internal/kv internal/errs"},
	"fs/journal":                         {"what fsync promised and no record names yet", "fs blocks internal/namespace internal/ident internal/kv internal/wire internal/errs"},
	"fs/herald":                          {"events for programs that watch folders", "internal/errs"},
	"fs/paths":                           {"a filesystem by paths", "fs internal/namespace internal/errs"},
	"fs/fstest":                          {"one conformance suite over every adapter", "fs fs/alias fs/davfs fs/fusefs fs/paths fs/winfs internal/namespace internal/errs"},
	"mounthelper":                        {"mount, unmount, mend, what is missing", "internal/errs"},
	"mounthelper/probe":                  {"what mounting needs on this machine", "internal/errs"},
	"internal/control":                   {"the local API, serving side", "internal/control/controlapi internal/errs"},
	"internal/control/controlapi":        {"the local API's types", "internal/errs"},
	"internal/control/client":            {"the local API, asking side", "internal/control/controlapi internal/errs"},
	"internal/cli":                       {"one file per command", "internal/control/controlapi internal/control/client internal/config mounthelper mounthelper/probe internal/errs fs/herald"},
	"internal/hydration":                 {"which programs may bring bytes here, and what they brought", "fs blocks internal/namespace internal/ident internal/kv internal/wire internal/errs"},
	"internal/heat":                      {"what is used, and brought here for that", "internal/namespace blocks internal/ident internal/kv internal/wire internal/errs"},
	"internal/simnet":                    {"an in-memory network", "internal/ident internal/wire internal/errs"},
	"internal/scenario":                  {"scripts with many devices", "*"},
	"internal/bench":                     {"the table of figures, measured over real processes", "*"},
	"internal/daemon":                    {"the only place where the parts are put together", "*"},
	"internal/archtest":                  {"these arrows", ""},
	"cmd/shelf":                          {"the program", "internal/cli internal/daemon internal/config"},
}

// Each engine has exactly one importer, so that it can be replaced.
var engines = map[string][]string{
	"github.com/cockroachdb/pebble":   {"internal/kv"},
	"github.com/libp2p/":              {"internal/p2p"},
	"github.com/hanwen/go-fuse":       {"fs/fusefs", "fs/fstest"}, // fstest runs go-fuse's own posixtest
	"github.com/winfsp/cgofuse":       {"fs/winfs"},
	"golang.org/x/net":                {"fs/davfs"},
	"github.com/ipfs/boxo":            {"cache", "fetch/exchange"},
	"github.com/fxamacker/cbor":       {"internal/wire"},
	"github.com/zalando/go-keyring":   {"internal/keystore"},
	"github.com/tyler-smith/go-bip39": {"internal/share"},
	"github.com/spf13/cobra":          {"internal/cli"},
	"github.com/BurntSushi/toml":      {"internal/config"},
	"github.com/godbus/dbus":          {"internal/guest"},
	"golang.org/x/text":               {"fs/alias"},
	"crypto/hpke":                     {"internal/share"},
}

// Whoever can only move blocks cannot decrypt them.
var movers = []string{"fetch", "fetch/exchange", "cache", "internal/p2p", "internal/simnet"}

type pkg struct {
	ImportPath string
	Imports    []string
	GoFiles    []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,GoFiles", module+"...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var ps []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return ps
		} else if err != nil {
			t.Fatal(err)
		}
		ps = append(ps, p)
	}
}

func TestArrows(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		seen[name] = true
		r, ok := rules[name]
		if !ok {
			t.Errorf("%s: no rule: say here what its job is and what it may import", name)
			continue
		}
		may := strings.Fields(r.may)
		for _, imp := range p.Imports {
			if ours, ok := strings.CutPrefix(imp, module); ok && r.may != "*" && !slices.Contains(may, ours) {
				t.Errorf("%s (%s) imports %s: it may import only: %s", name, r.job, ours, r.may)
			}
			for engine, importers := range engines {
				if strings.HasPrefix(imp, engine) && !slices.Contains(importers, name) {
					t.Errorf("%s imports %s: only %v may, so that the engine can be replaced", name, imp, importers)
				}
			}
			if imp == module+"blocks/seal" && slices.Contains(movers, name) {
				t.Errorf("%s imports blocks/seal: whoever moves blocks must not be able to decrypt them", name)
			}
		}
	}
	for name := range rules {
		if !seen[name] {
			t.Errorf("%s has a rule but no package", name)
		}
	}
}

// init functions hide work before main; the program has none outside cmd.
func TestNoInit(t *testing.T) {
	out, _ := exec.Command("grep", "-rnE", `^func init\(\)`, "--include=*.go", "../..").Output()
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		if line != "" && !strings.Contains(line, "/cmd/") {
			t.Errorf("init outside cmd: %s", line)
		}
	}
}

// Six packages keep rows in one store, the home's: no two may use the same table.
func TestTablesOfTheStoreAreDisjoint(t *testing.T) {
	users := map[string]string{}
	for _, dir := range []string{"namespace", "share", "placement", "daemon", "hydration", "heat"} {
		files, err := filepath.Glob("../" + dir + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, name := range files {
			f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(x ast.Node) bool {
				v, ok := x.(*ast.ValueSpec)
				if !ok || len(v.Values) != 1 || !strings.HasPrefix(v.Names[0].Name, "table") {
					return true
				}
				if lit, ok := v.Values[0].(*ast.BasicLit); ok && lit.Kind == token.CHAR {
					n++
					if by := users[lit.Value]; by != "" {
						t.Errorf("table %s is used by %s and by %s.%s", lit.Value, by, dir, v.Names[0].Name)
					}
					users[lit.Value] = dir + "." + v.Names[0].Name
				}
				return true
			})
		}
		if n == 0 {
			t.Errorf("no table constants found in %s: this test looks for nothing", dir)
		}
	}
}
