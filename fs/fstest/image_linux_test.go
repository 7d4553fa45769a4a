package fstest

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var (
	imageRounds = flag.Int("image.rounds", 3, "how many snapshots TestImage takes")
	imageSeed   = flag.Uint64("image.seed", uint64(time.Now().UnixNano()), "of TestImage")
)

// TestImage takes snapshots of the disk on which a home lies, ext4 with all its caches, at random
// moments while programs work in the mount, and goes on from the snapshot: as from a disk that had
// written all that it was given when the power went.
func TestImage(t *testing.T) {
	t.Logf("-image.seed %d", *imageSeed)
	p := newPool(t)
	disk := p.disk("disk0")
	var writers []*writer
	for i := range 4 {
		w := newWriter(fmt.Sprint("writer", i), rand.New(rand.NewPCG(*imageSeed, uint64(i))), 1<<20)
		w.pieces = true
		writers = append(writers, w)
	}
	dice := rand.New(rand.NewPCG(*imageSeed, 1000))
	for round := range *imageRounds {
		home := p.mount(disk)
		c := mountedAt(t, home)
		checkAll(t, round, OS(c.mnt), writers)
		var wg sync.WaitGroup
		for _, w := range writers {
			wg.Go(func() { w.work(math.MaxInt) })
		}
		time.Sleep(time.Duration(20+dice.IntN(400)) * time.Millisecond)
		next := filepath.Join(p.dir, fmt.Sprint("disk", round+1))
		left := snapshot(t, disk, next, writers)
		c.kill()
		wg.Wait()
		p.run("umount", "--lazy", c.mnt)
		p.run("umount", home)
		disk, writers = next, left
	}
	c := mountedAt(t, p.mount(disk))
	checkAll(t, *imageRounds, OS(c.mnt), writers)
	acts := 0
	for _, w := range writers {
		acts += w.acts
	}
	t.Logf("%d snapshots, %d changes", *imageRounds, acts)
}

// snapshot copies a disk as it is at one moment, and the writers as they are then.
func snapshot(t *testing.T, from, to string, writers []*writer) (left []*writer) {
	t.Helper()
	src, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	dst, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	defer dst.Close()
	for _, w := range writers {
		w.mu.Lock()
		defer w.mu.Unlock()
	}
	// XFS writes nothing to either file meanwhile.
	if err := unix.IoctlFileClone(int(dst.Fd()), int(src.Fd())); err != nil {
		t.Fatal(err)
	}
	for _, w := range writers {
		left = append(left, w.clone(w.rnd))
	}
	return left
}

// pool is a filesystem on which files can be copied at one moment. It holds images of disks.
type pool struct {
	t   *testing.T
	dir string
}

func newPool(t *testing.T) *pool {
	t.Helper()
	for _, name := range []string{"mkfs.xfs", "mkfs.ext4", "mount", "umount"} {
		if _, err := exec.LookPath(name); err != nil {
			cannot(t, err)
		}
	}
	dir := t.TempDir()
	p := &pool{t, filepath.Join(dir, "pool")}
	image := filepath.Join(dir, "image")
	p.sparse(image, 16<<30)
	p.run("mkfs.xfs", "-q", image)
	if out, err := p.tryMount(image, p.dir); err != nil {
		cannot(t, fmt.Errorf("no image can be mounted here: %w: %s", err, out))
	}
	return p
}

// disk makes one with an empty filesystem.
func (p *pool) disk(name string) (image string) {
	p.t.Helper()
	image = filepath.Join(p.dir, name)
	p.sparse(image, 2<<30) // room for what some hundred rounds write, and history keeps
	p.run("mkfs.ext4", "-q", "-F", image)
	return image
}

// mount shows what is on a disk.
func (p *pool) mount(image string) (dir string) {
	p.t.Helper()
	dir = image + ".mnt"
	if out, err := p.tryMount(image, dir); err != nil {
		p.t.Fatalf("%v: %s", err, out)
	}
	return dir
}

func (p *pool) tryMount(image, dir string) ([]byte, error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		p.t.Fatal(err)
	}
	out, err := exec.Command("mount", "-o", "loop", image, dir).CombinedOutput()
	if err == nil {
		p.t.Cleanup(func() { _ = exec.Command("umount", dir).Run() }) // after a failure
	}
	return out, err
}

func (p *pool) sparse(name string, size int64) {
	p.t.Helper()
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Truncate(name, size); err != nil {
		p.t.Fatal(err)
	}
}

func (p *pool) run(name string, args ...string) {
	p.t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		p.t.Fatalf("%s: %v: %s", name, err, out)
	}
}
