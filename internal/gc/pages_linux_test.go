//go:build linux && (amd64 || arm64) && !race

package gc

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"unsafe"
)

// What the heap takes later lies where the system was told to give large pages, and telling it takes nothing. In a process of
// its own, as a daemon is one.
func TestTheHeapHasLargePages(t *testing.T) {
	const mark = "SHELF_TEST_LARGE_PAGES"
	if os.Getenv(mark) == "" {
		child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
		child.Env = append(os.Environ(), mark+"=1")
		if out, err := child.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	Tune()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if m.HeapInuse > limit/8 || m.NextGC > limit/8 {
		t.Errorf("%d MiB of the heap are in use, and it may grow to %d", m.HeapInuse>>20, m.NextGC>>20)
	}
	if used := resident(t); used > limit/4 {
		t.Errorf("%d MiB of memory are used", used>>20)
	}
	b := make([]byte, limit/2)
	if flags := flagsAt(t, uintptr(unsafe.Pointer(&b[len(b)/2]))); !strings.Contains(flags, " hg ") {
		t.Errorf("memory of the heap has not the flag of large pages: %s", flags)
	}
	runtime.KeepAlive(b)
}

// resident is how many bytes of memory the process uses.
func resident(t *testing.T) (n int) {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	var all int
	if _, err := fmt.Sscan(string(b), &all, &n); err != nil {
		t.Fatal(err)
	}
	return n * os.Getpagesize()
}

// flagsAt are the system's flags of the memory at an address, as /proc/self/smaps has them.
func flagsAt(t *testing.T, at uintptr) string {
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	inside := false
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var from, to uintptr
		if n, _ := fmt.Sscanf(lines.Text(), "%x-%x ", &from, &to); n == 2 {
			inside = from <= at && at < to
		}
		if flags, ok := strings.CutPrefix(lines.Text(), "VmFlags:"); ok && inside {
			return flags + " "
		}
	}
	t.Fatalf("no memory at %x", at)
	return ""
}
