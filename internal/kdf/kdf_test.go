package kdf

import (
	"bytes"
	"encoding/hex"
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"
)

func TestLabelsAreUniqueAndPrefixFree(t *testing.T) {
	for i, a := range Labels {
		if !strings.HasPrefix(string(a), "shelf1/") {
			t.Errorf("%q does not begin with shelf1/", a)
		}
		for j, b := range Labels {
			if i != j && strings.HasPrefix(string(b), string(a)) {
				t.Errorf("%q is a prefix of %q", a, b)
			}
		}
	}
}

// A label that is declared but not listed would escape the test above.
func TestEveryDeclaredLabelIsListed(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "kdf.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	ast.Inspect(f, func(x ast.Node) bool {
		if v, ok := x.(*ast.ValueSpec); ok {
			if id, ok := v.Type.(*ast.Ident); ok && id.Name == "Label" {
				n++
			}
		}
		return true
	})
	if n != len(Labels) {
		t.Errorf("%d labels declared, %d listed", n, len(Labels))
	}
}

func TestDeriveVector(t *testing.T) {
	key := bytes.Repeat([]byte{7}, 32)
	got := Derive(key, BlockKey, []byte("ctx"))
	const want = "cdc2d80c473fc37a719eeb248a1d640ed3c1b43558ce8d01d36b3449c752656b" // HMAC-SHA-256(key, label 00 "ctx" 01)
	if hex.EncodeToString(got[:]) != want {
		t.Errorf("Derive = %x", got)
	}
	if Derive(key, BlockKey, []byte("ctx2")) == got || Derive(key, BlockEnc, []byte("ctx")) == got {
		t.Error("context or label does not separate")
	}
}
