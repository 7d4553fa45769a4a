package fstest

import (
	"bytes"
	"errors"
	"maps"
	"math/rand"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// allTests is the suite.
var allTests = [][]test{fileTests, dirTests, exactTests, renameTests, linkTests, attrTests, xattrTests, removedTests, sparseTests, copyTests, modelTests}

// Run puts every test to a tree. fresh returns an empty one for each test.
func Run(t *testing.T, fresh func(t *testing.T) Sys) { run(t, fresh, allTests...) }

// RunExcept is Run but for the tests that an adapter cannot pass, by name, with the reasons.
func RunExcept(t *testing.T, fresh func(t *testing.T) Sys, except map[string]string) {
	left := maps.Clone(except)
	for _, group := range allTests {
		group = slices.DeleteFunc(slices.Clone(group), func(tc test) bool {
			_, cannot := left[tc.name]
			delete(left, tc.name)
			return cannot
		})
		run(t, fresh, group)
	}
	for name := range left {
		t.Errorf("there is no test %q to leave out", name)
	}
}

func run(t *testing.T, fresh func(t *testing.T) Sys, groups ...[]test) {
	for _, group := range groups {
		for _, tc := range group {
			t.Run(tc.name, func(t *testing.T) { tc.run(&T{T: t, Sys: fresh(t)}) })
		}
	}
}

type test struct {
	name string
	run  func(t *T)
}

// T is a test and its tree, with the helpers that keep tests short. Helpers end the test
// on an error that the test did not ask for.
type T struct {
	*testing.T
	Sys
}

func (t *T) ok(err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// fails demands one of the given errors.
func (t *T) fails(err error, want ...syscall.Errno) {
	t.Helper()
	for _, w := range want {
		if errors.Is(err, w) {
			return
		}
	}
	t.Fatalf("got %v, want %v", err, want)
}

func (t *T) open(path string, flag int) File {
	t.Helper()
	f, err := t.Open(path, flag, 0o644)
	t.ok(err)
	t.Cleanup(func() { f.Close() })
	return f
}

func (t *T) write(path, body string) {
	t.Helper()
	f, err := t.Open(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	t.ok(err)
	t.pwrite(f, 0, []byte(body))
	t.ok(f.Close())
}

func (t *T) pwrite(f File, off int64, p []byte) {
	t.Helper()
	for len(p) > 0 {
		n, err := f.Pwrite(p, off)
		t.ok(err)
		p, off = p[n:], off+int64(n)
	}
}

func (t *T) append(f File, body string) {
	t.Helper()
	n, err := f.Append([]byte(body))
	t.ok(err)
	if n != len(body) {
		t.Fatalf("appended %d of %d", n, len(body))
	}
}

// pread reads up to n bytes, fewer only at the end.
func (t *T) pread(f File, off int64, n int) []byte {
	t.Helper()
	p := make([]byte, n)
	got := 0
	for got < n {
		m, err := f.Pread(p[got:], off+int64(got))
		t.ok(err)
		if m == 0 {
			break
		}
		got += m
	}
	return p[:got]
}

func (t *T) read(path string) string {
	t.Helper()
	f, err := t.Open(path, os.O_RDONLY, 0)
	t.ok(err)
	defer f.Close()
	st, err := f.Stat()
	t.ok(err)
	return string(t.pread(f, 0, int(st.Size)+1))
}

func (t *T) holds(path, want string) {
	t.Helper()
	if got := t.read(path); got != want {
		t.Fatalf("%s holds %s, want %s", path, brief(got), brief(want))
	}
}

func brief(s string) string {
	if len(s) > 40 {
		return string([]rune(s[:40])) + "…"
	}
	return "\"" + s + "\""
}

func (t *T) stat(path string) Stat {
	t.Helper()
	st, err := t.Lstat(path)
	t.ok(err)
	return st
}

func (t *T) missing(path string) {
	t.Helper()
	_, err := t.Lstat(path)
	t.fails(err, syscall.ENOENT)
}

func (t *T) mkdir(path string) {
	t.Helper()
	t.ok(t.Mkdir(path, 0o755))
}

// lists demands exactly these names, in any order, each once.
func (t *T) lists(dir string, want ...string) {
	t.Helper()
	got, err := t.ReadDir(dir)
	t.ok(err)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Fatalf("%s lists %q, want %q", dir, got, want)
	}
}

func random(seed int64, n int) []byte {
	b := make([]byte, n)
	rand.New(rand.NewSource(seed)).Read(b)
	return b
}

func (t *T) same(got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		i := 0
		for i < len(got) && i < len(want) && got[i] == want[i] {
			i++
		}
		t.Fatalf("%d bytes, want %d; they differ at %d", len(got), len(want), i)
	}
}

func long(n int) string { return strings.Repeat("x", n) }
