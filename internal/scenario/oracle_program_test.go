//go:build linux

package scenario

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

var oracleOverlay = flag.String("oracle.overlay", "", "play with a program in which these files are replaced (as of go build -overlay): a mutant")

// envSkew says, to the program of the oracle alone, how far the clock is off by which it orders
// what people do.
const envSkew = "SHELF_TEST_SKEW"

// skewed replaces the clock. The product has no hook for it: this program is built with a changed file.
const skewed = `func() time.Time {
			off, _ := time.ParseDuration(os.Getenv("` + envSkew + `"))
			return time.Now().Add(off)
		}`

// oracleProgram builds the program of the oracle, once.
var oracleProgram = sync.OnceValues(func() (string, error) {
	program := filepath.Join(workDir, "shelf-oracle")
	overlay, err := oracleFiles()
	if err != nil {
		return "", err
	}
	return program, said(exec.Command("go", "build", "-overlay", overlay, "-o", program, "github.com/shelffs/shelf/cmd/shelf"))
})

// oracleFiles writes the list of the files to replace.
func oracleFiles() (string, error) {
	list := struct{ Replace map[string]string }{map[string]string{}}
	if *oracleOverlay != "" {
		text, err := os.ReadFile(*oracleOverlay)
		if err == nil {
			err = json.Unmarshal(text, &list)
		}
		if err != nil {
			return "", err
		}
	}
	file, err := filepath.Abs(filepath.Join("..", "namespace", "replica.go"))
	if err != nil {
		return "", err
	}
	from := list.Replace[file]
	if from == "" {
		from = file
	}
	text, err := os.ReadFile(from)
	if err != nil {
		return "", err
	}
	changed := strings.Replace(string(text), "cfg.Clock = time.Now", "cfg.Clock = "+skewed, 1)
	if !strings.Contains(changed, "\n\t\"os\"\n") {
		changed = strings.Replace(changed, "import (\n", "import (\n\t\"os\"\n", 1)
	}
	list.Replace[file] = filepath.Join(workDir, "replica.go")
	if err := os.WriteFile(list.Replace[file], []byte(changed), 0o600); err != nil {
		return "", err
	}
	out, err := json.Marshal(list)
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(workDir, "overlay.json")
	return overlay, os.WriteFile(overlay, out, 0o600)
}

// The clock is replaced where it is asked for, or the oracle would play without clocks that are off.
func TestClockOfTheOracleIsReplaced(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "namespace", "replica.go"))
	if err != nil || strings.Count(string(text), "cfg.Clock = time.Now") != 1 {
		t.Fatal("another text stands there now", err)
	}
}
