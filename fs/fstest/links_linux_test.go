package fstest

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// A file goes from one folder into another by link and unlink, as mail programs deliver, while others look at both. The
// kernel counts a removed name by itself: an answer that has done so already must not make it count twice, or the
// file seems to have no name left, and cannot be linked.
func TestLinksAreCountedOnce(t *testing.T) { linksAreCountedOnce(t, mounted(t).mnt) }

func linksAreCountedOnce(t *testing.T, mnt string) {
	dirs := [2]string{filepath.Join(mnt, "tmp"), filepath.Join(mnt, "new")}
	for _, d := range dirs {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	name := filepath.Join(dirs[0], "0")
	if err := os.WriteFile(name, []byte("mail"), 0o644); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(done)
	for i := range 2 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				entries, _ := os.ReadDir(dirs[i])
				for _, e := range entries {
					_, _ = e.Info()
				}
			}
		})
	}
	for i := range 600 {
		next := filepath.Join(dirs[(i+1)%2], fmt.Sprint(i+1))
		if err := unix.Link(name, next); err != nil {
			var st unix.Stat_t
			serr := unix.Stat(name, &st)
			t.Fatalf("link %d: %v; stat: %v, nlink %d", i, err, serr, st.Nlink)
		}
		if err := unix.Unlink(name); err != nil {
			t.Fatal(err)
		}
		name = next
	}
}
