package scenario

import (
	"os"
	"strings"
	"testing"
	"time"
)

// Plays of what the oracle has found.

// A file that is held open where it is removed comes back by an edit of another device that had
// not seen the removal. What is written to it from then on is written to a file like any other.
func TestPlayRemovedWhileOpenAndBroughtBack(t *testing.T) {
	play(t, 2, func(t *testing.T, d []actor) {
		put(t, d[0], "/file", "base")
		put(t, d[0], "/other", "base")
		agree(t, d, "/file=base", "/other=base")
		for _, a := range d { // so that its bytes are there
			if _, err := get(a, "/file"); err != nil {
				t.Fatal(err)
			}
		}
		d[0].away()
		put(t, d[1], "/file", "edited elsewhere")
		put(t, d[1], "/other", "edited elsewhere")
		d[1].away()
		d[0].back()
		var held []interface{ Close() error }
		for _, p := range []string{"/file", "/other"} {
			h, err := d[0].sys().Open(p, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			held = append(held, h)
			if err := d[0].sys().Unlink(p); err != nil {
				t.Fatal(err)
			}
		}
		d[1].back()
		agree(t, d, "/file=edited elsewhere", "/other=edited elsewhere")
		put(t, d[0], "/file", "written anew")
		agree(t, d, "/file=written anew", "/other=edited elsewhere")
		for _, h := range held {
			if err := h.Close(); err != nil {
				t.Error(err)
			}
		}
		agree(t, d, "/file=written anew", "/other=edited elsewhere")
	})
}

// A conflict copy that is held open while another device discards it comes back with what is
// written to it, as a file that was removed elsewhere does.
func TestPlayCopyDiscardedWhileOpen(t *testing.T) {
	play(t, 2, func(t *testing.T, d []actor) {
		put(t, d[0], "/file", "base")
		agree(t, d, "/file=base")
		for i, text := range []string{"of a", "of b"} {
			d[1-i].away()
			put(t, d[i], "/file", text)
			d[i].away()
			d[1-i].back()
		}
		d[1].back()
		_, copied, found := strings.Cut(agree(t, d, "/file=", "/file (conflict from "), "/file (conflict from ")
		name, _, _ := strings.Cut("/file (conflict from "+copied, "=")
		if !found || name == "" {
			t.Fatal("no copy")
		}
		h, err := d[1].sys().Open(name, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := d[0].sys().Unlink(name); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(time.Minute); strings.Contains(tree(d[1], "/"), name); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("it is not discarded")
			}
		}
		if _, err := h.Pwrite([]byte("worked on"), 0); err != nil {
			t.Fatal(err)
		}
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
		agree(t, d, name+"=worked on")
	})
}
