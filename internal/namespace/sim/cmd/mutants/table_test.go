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
		for _, e := range m.edits {
			text, err := os.ReadFile(filepath.Join("..", "..", "..", filepath.FromSlash(e.file)))
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(text), e.old); n != 1 {
				t.Errorf("%s, %s: stands in %s %d times: %q", m.rule, m.off, e.file, n, e.old)
			}
			if e.old == e.new {
				t.Errorf("%s, %s: changes nothing", m.rule, m.off)
			}
		}
	}
}
