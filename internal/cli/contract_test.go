package cli

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/mounthelper/probe"
)

func contract(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../../cmd/shelf/CONTRACT.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The table of exit codes in the document is the one in the program.
func TestContractExitCodes(t *testing.T) {
	row := regexp.MustCompile(`(?m)^\| (\d+) \| (.*?) \| `)
	word := regexp.MustCompile("`([a-z_]+)`")
	seen := map[int]bool{}
	for _, m := range row.FindAllStringSubmatch(contract(t), -1) {
		code, _ := strconv.Atoi(m[1])
		seen[code] = true
		for _, w := range word.FindAllStringSubmatch(m[2], -1) {
			k := controlapi.Kind(w[1])
			if want := exitCode(k); want != code && code != ExitTerminated {
				t.Errorf("%s: the document says %d, the program %d", k, code, want)
			}
			if k != controlapi.KindOther && k.Errs() == errs.Other {
				t.Errorf("%s: no such kind", k)
			}
		}
		for _, k := range exitKinds[code] {
			if !strings.Contains(m[2], "`"+string(k)+"`") {
				t.Errorf("%d: the document lacks %s", code, k)
			}
		}
	}
	for code := range exitKinds {
		if !seen[code] {
			t.Errorf("exit code %d is not in the document", code)
		}
	}
	for _, code := range []int{ExitOK, ExitError, ExitTerminated} {
		if !seen[code] {
			t.Errorf("exit code %d is not in the document", code)
		}
	}
}

func TestEveryKindHasOneExitCode(t *testing.T) {
	seen := map[controlapi.Kind]int{}
	for code, kinds := range exitKinds {
		for _, k := range kinds {
			if c, ok := seen[k]; ok {
				t.Errorf("%s: %d and %d", k, c, code)
			}
			seen[k] = code
		}
	}
}

// Every command and each of its flags is in the document, and nothing is there that is not.
func TestContractCommands(t *testing.T) {
	doc := contract(t)
	a := &app{Deps: fakeDeps()}
	known := map[string]bool{}
	var walk func(c *cobra.Command, path string)
	walk = func(c *cobra.Command, path string) {
		for _, sub := range c.Commands() {
			p := path + " " + sub.Name()
			known[p] = true
			if sub.Hidden || sub.Name() == "help" {
				continue
			}
			walk(sub, p)
			if !sub.HasSubCommands() && !strings.Contains(doc, "**`"+p) && !strings.Contains(doc, "`"+p+" ") {
				t.Errorf("%q is not in the document", p)
			}
			for f := range flagsOf(sub) {
				if !strings.Contains(doc, f) {
					t.Errorf("%s: flag %s is not in the document", p, f)
				}
			}
		}
	}
	walk(a.root(), "shelf")
	for _, m := range regexp.MustCompile("\\*\\*`(shelf [a-z]+)").FindAllStringSubmatch(doc, -1) {
		if !known[m[1]] {
			t.Errorf("the document has %q, the program does not", m[1])
		}
	}
}

func flagsOf(c *cobra.Command) map[string]bool {
	flags := map[string]bool{}
	for _, line := range strings.Split(c.LocalNonPersistentFlags().FlagUsages(), "\n") {
		for _, f := range strings.Fields(line) {
			if strings.HasPrefix(f, "--") && f != "--help" {
				flags[f] = true
				break
			}
		}
	}
	return flags
}

// Every field that is printed is in the document. (That it is not renamed, the scripts tell.)
func TestContractFields(t *testing.T) {
	doc := contract(t)
	for _, v := range []any{upJSON{}, joinJSON{}, lsJSON{}, versionJSON{}, doctorJSON{}, probe.Finding{}, demoResult{},
		controlapi.Status{}, controlapi.PathStatus{}, controlapi.Entry{}, controlapi.Device{}, controlapi.Why{}, controlapi.PlaceResult{},
		controlapi.Conflicts{}, controlapi.ResolveResult{}, controlapi.ConflictEvent{},
		controlapi.SyncResult{}, controlapi.OfflineResult{}, controlapi.Versions{}, controlapi.Restored{}, controlapi.Ledger{}, controlapi.RunUndone{}, controlapi.Heat{}, duJSON{}, controlapi.Recovery{}, controlapi.InviteToken{}, controlapi.InviteEvent{}, controlapi.Joined{}, controlapi.Failure{}} {
		for _, name := range jsonFields(reflect.TypeOf(v), nil) {
			if !strings.Contains(doc, `"`+name+`"`) {
				t.Errorf("%T: field %q is not in the document", v, name)
			}
		}
	}
}

// jsonFields collects the names under which a type's fields are printed, nested ones too.
func jsonFields(typ reflect.Type, names []string) []string {
	for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
		typ = typ.Elem()
	}
	if typ.Kind() != reflect.Struct || typ.PkgPath() == "time" {
		return names
	}
	for i := range typ.NumField() {
		f := typ.Field(i)
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if tag == "-" || !f.IsExported() && !f.Anonymous {
			continue
		}
		if tag != "" && !slices.Contains(names, tag) {
			names = append(names, tag)
		}
		names = jsonFields(f.Type, names)
	}
	return names
}

// A command without help is not finished.
func TestEveryCommandExplainsItself(t *testing.T) {
	a := &app{Deps: fakeDeps()}
	for _, c := range a.root().Commands() {
		if c.Short == "" || !c.Hidden && c.GroupID == "" && c.Name() != "help" {
			t.Errorf("%s: no short help, or no group", c.Name())
		}
		if strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: short help is no sentence: %q", c.Name(), c.Short)
		}
	}
	if fmt.Sprint(exitCode("nonsense")) != "1" {
		t.Error("unknown kinds exit with 1")
	}
}
