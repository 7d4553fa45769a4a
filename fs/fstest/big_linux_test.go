package fstest

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

var bigMiB = flag.Int("big.mib", 384, "size of the file that TestBigFile writes, in MiB")

const (
	mib = 1 << 20
	// bigPeriod is after how many MiB the bytes come again: equal blocks are kept once, so that a
	// file may be larger than the disk. It is more than may be unsaved.
	bigPeriod = 96
	bigMark   = "a line that nobody may find on the disk"
)

// TestBigFile writes a file far larger than what may be unsaved in memory, in one go: what does not
// fit is sealed meanwhile, and nothing of it lies on the disk in the clear. Then it writes here and there
// in that file: only what is touched is sealed anew.
//
//	go test ./fs/fstest -run TestBigFile -v -big.mib 102400
func TestBigFile(t *testing.T) {
	c := mounted(t)
	state := filepath.Join(c.dir, "state")
	before := peak(t, c.cmd.Process.Pid)
	f, err := os.Create(filepath.Join(c.mnt, "big"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for i := range *bigMiB {
		if _, err := f.Write(bigPiece(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	// The budget, what is sealed of it, and the garbage of both until it is collected.
	grown := peak(t, c.cmd.Process.Pid) - before
	t.Logf("%d MiB written: %d MiB of memory at the peak, %d MiB before", *bigMiB, (before+grown)/mib, before/mib)
	if grown > 4*64*mib {
		t.Errorf("memory grew by %d MiB", grown/mib)
	}
	dice := rand.New(rand.NewPCG(1, 2))
	want := map[int]byte{} // offset → byte, where it was changed
	stored := size(t, state)
	const patches = 32
	for range patches {
		at := dice.IntN(*bigMiB*mib/4096) * 4096
		if _, err := f.WriteAt(bytes.Repeat([]byte{byte(at >> 12)}, 4096), int64(at)); err != nil {
			t.Fatal(err)
		}
		want[at] = byte(at >> 12)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	perPatch := (size(t, state) - stored) / patches
	t.Logf("a write of 4 KiB adds %d KiB to the disk", perPatch>>10)
	if perPatch > 8*mib { // the block, perhaps cut anew, and its part of the manifest
		t.Errorf("a write of 4 KiB adds %d KiB to the disk", perPatch>>10)
	}
	b := make([]byte, mib)
	for range min(*bigMiB, 64) {
		i := dice.IntN(*bigMiB)
		if _, err := f.ReadAt(b, int64(i)*mib); err != nil {
			t.Fatal(err)
		}
		piece := bigPiece(i)
		for at := 0; at < mib; at += 4096 {
			if x, ok := want[i*mib+at]; ok {
				copy(piece[at:], bytes.Repeat([]byte{x}, 4096))
			}
		}
		if !bytes.Equal(b, piece) {
			t.Fatalf("the %d-th MiB reads as something else", i)
		}
	}
	inTheClear(t, state)
}

// bigPiece is the i-th MiB: noise with the mark in it.
func bigPiece(i int) []byte {
	b := random(int64(i%bigPeriod), mib)
	copy(b[1000:], bigMark)
	return b
}

// peak is the most memory that a process has held, in bytes.
func peak(t *testing.T, pid int) int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				t.Fatal(err)
			}
			return kb << 10
		}
	}
	t.Fatal("no VmHWM")
	return 0
}

// size is what the stores in dir take.
func size(t *testing.T, dir string) (n int) {
	eachStored(t, dir, func(_ string, i fs.FileInfo) { n += int(i.Size()) })
	return n
}

// inTheClear fails the test if the mark lies in a file of the store.
func inTheClear(t *testing.T, dir string) {
	looked := 0
	eachStored(t, dir, func(path string, _ fs.FileInfo) {
		b, err := os.ReadFile(path)
		if err != nil {
			return // compacted away meanwhile
		}
		looked += len(b)
		if bytes.Contains(b, []byte(bigMark)) {
			t.Errorf("%s holds plaintext", path)
		}
	})
	if looked < 64*mib {
		t.Errorf("only %d bytes were looked at", looked)
	}
}

// eachStored visits the files of the stores in dir.
func eachStored(t *testing.T, dir string, visit func(path string, i fs.FileInfo)) {
	if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // compacted away meanwhile
		}
		if i, err := d.Info(); err == nil && i.Mode().IsRegular() {
			visit(path, i)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
