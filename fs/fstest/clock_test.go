package fstest

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/shelffs/shelf/fs"
)

// The clock of a device jumps, by a battery that was empty or a hand that put it right, while files are read and
// written: reads go on, a folder is read ahead, and what is written in a file that stays open is saved.
func TestTheClockJumps(t *testing.T) {
	const year = 365 * 24 * time.Hour
	d, p, data := guarded(t, 6<<20)
	h := d.handle(t, fs.OpenFlags{Read: true})
	got := make([]byte, len(data))
	for i, jump := range []time.Duration{0, 20 * year, -30 * year, time.Hour, -time.Minute, 20 * year} {
		d.pass(jump)
		if n, err := h.Read(someone, int64(i)<<20, got[i<<20:(i+1)<<20]); err != nil || n != 1<<20 {
			t.Fatalf("after a jump by %v: %d bytes, %v", jump, n, err)
		}
	}
	if !bytes.Equal(got, data) {
		t.Error("other bytes than were written")
	}

	p.take()
	for i := range dirFiles {
		if i%20 == 10 {
			d.pass(-year)
		}
		got, err := readAll(someone, d.handleOf(t, fmt.Sprintf("dir/%03d", i), fs.OpenFlags{Read: true}), 1000)
		if err != nil || !bytes.Equal(got, data[i:1000]) {
			t.Fatalf("file %d: %d bytes, %v", i, len(got), err)
		}
		time.Sleep(time.Millisecond) // the directory is listed beside
	}
	ahead := 0
	for _, a := range p.take() {
		if a.Ahead {
			ahead++
		}
	}
	if ahead < dirFiles/2 {
		t.Errorf("only %d files of %d were read ahead", ahead, dirFiles)
	}

	w := d.handle(t, fs.OpenFlags{Write: true}) // and stays open
	if _, err := w.WriteAt(bg, 0, data[:1000], fs.WriteFlags{}); err != nil {
		t.Fatal(err)
	}
	d.pass(-year)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if files, _ := d.fs.Unsaved(); files == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("what was written before the clock was put back is not saved")
		}
	}
}
