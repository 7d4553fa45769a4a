package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Who changes a rule's code changes its mutant: each text stands in its file exactly once.
func TestTableFitsTheSource(t *testing.T) {
	for _, m := range mutants {
		text, err := os.ReadFile(filepath.Join("..", "..", "..", filepath.FromSlash(m.file)))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), m.old); n != 1 {
			t.Errorf("%s, %s: stands in %s %d times: %q", m.rule, m.off, m.file, n, m.old)
		}
		if m.old == m.new {
			t.Errorf("%s, %s: changes nothing", m.rule, m.off)
		}
	}
}
