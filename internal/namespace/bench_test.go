package namespace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/shelffs/shelf/internal/kv"
)

// benchDevice has a real disk and the real clock.
func benchDevice(b *testing.B, name string, group time.Duration) *device {
	w := newWorld(b, 1, 0)
	return benchAdd(b, w, name, group)
}

func benchAdd(b *testing.B, w *world, name string, group time.Duration) *device {
	d := w.add(name)
	d.close()
	dir := b.TempDir()
	b.Cleanup(d.close) // before the folder goes
	return benchOpen(b, d, dir, group)
}

func benchOpen(b *testing.B, d *device, dir string, group time.Duration) *device {
	w := d.world
	db, err := kv.Open(dir, [32]byte{9}, kv.Options{})
	if err != nil {
		b.Fatal(err)
	}
	d.db, d.dir = db, dir
	d.Replica, err = Open(Config{DB: db, Share: w.share, Self: d.id(), Key: d.key, Sealer: w.sealer, Known: w.known, Names: w.nameOf, Group: group})
	if err != nil {
		b.Fatal(err)
	}
	return d
}

func BenchmarkCreate(b *testing.B) {
	d := benchDevice(b, "a", 0)
	dir := mkdir(b, d.Replica, Root, "dir").ID
	i := 0
	for b.Loop() {
		mkfile(b, d.Replica, dir, fmt.Sprint("file", i), i)
		i++
	}
}

func BenchmarkCommit(b *testing.B) {
	d := benchDevice(b, "a", 0)
	f := mkfile(b, d.Replica, Root, "f", 1)
	i := 0
	for b.Loop() {
		i++
		f = must(d.Commit(f.ID, f.Versions, content(i), Now))
	}
}

func filled(b *testing.B, n int) (*device, NodeID) {
	d := benchDevice(b, "a", 0)
	dir := mkdir(b, d.Replica, Root, "dir").ID
	for i := range n {
		if i%1000 == 0 { // a replica that nobody lets sync keeps all its writes in memory
			must(0, d.Sync(b.Context()))
		}
		mkfile(b, d.Replica, dir, fmt.Sprint("file", i), i)
	}
	return d, dir
}

func BenchmarkLookup(b *testing.B) {
	d, dir := filled(b, 10000)
	b.Run("present", func(b *testing.B) {
		i := 0
		for b.Loop() {
			must(d.Lookup(dir, fmt.Sprint("file", i*7919%10000)))
			i++
		}
	})
	b.Run("missing", func(b *testing.B) {
		i := 0
		for b.Loop() {
			if _, err := d.Lookup(dir, fmt.Sprint("no", i)); err == nil {
				b.Fatal("found")
			}
			i++
		}
	})
	b.Run("rename-dir", func(b *testing.B) {
		i := 0
		for b.Loop() {
			if _, _, err := d.Rename(Root, fmt.Sprint("dir", i)[:3+len(fmt.Sprint(i))*min(i, 1)], Root, fmt.Sprint("dir", i+1), 0); err != nil {
				b.Fatal(err)
			}
			i++
		}
	})
}

// BenchmarkList lists folders of growing size by pages of growing size:
//
//	go test ./internal/namespace -run none -bench List/ -benchtime 1x -timeout 1h
func BenchmarkList(b *testing.B) {
	for _, files := range []int{10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(files), func(b *testing.B) {
			d, dir := filled(b, files)
			atRest(d)
			for _, size := range []int{256, 1024, 4096, 8192, 16384, 32768} {
				b.Run(fmt.Sprint("by", size), func(b *testing.B) {
					slowest := time.Duration(0)
					for b.Loop() {
						n := 0
						for after := uint64(0); ; {
							began := time.Now()
							page := must(d.List(dir, after, size))
							if len(page) == 0 {
								break
							}
							slowest = max(slowest, time.Since(began))
							n += len(page)
							after = page[len(page)-1].Cookie
						}
						if n != files {
							b.Fatal(n)
						}
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*files), "ns/entry")
					b.ReportMetric(float64(slowest.Microseconds())/1000, "ms/page-at-most")
				})
			}
		})
	}
}

// BenchmarkFirstSync applies 10,000 files (and their attributes: 30,000 records) on an empty
// device.
func BenchmarkFirstSync(b *testing.B) {
	src, dir := filled(b, 10000)
	mode := uint32(0o600)
	for after := uint64(0); ; {
		page := must(src.List(dir, after, 500))
		if len(page) == 0 {
			break
		}
		for _, e := range page {
			must(src.SetAttr(e.ID, AttrChange{Mode: &mode}))
			after = e.Cookie
		}
	}
	ctx := context.Background()
	for b.Loop() {
		dst := benchAdd(b, src.world, fmt.Sprint("b", len(src.world.devices)), 0)
		start := time.Now()
		delta := must(src.Since(ctx, dst.Hello(src.id())))
		var frames [][]byte
		bytes := 0
		for {
			f, err := delta.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			frames = append(frames, f)
			bytes += len(f)
		}
		read := time.Now()
		for _, f := range frames {
			if err := dst.Apply(ctx, src.id(), f); err != nil {
				b.Fatal(err)
			}
		}
		must(dst.Complete(ctx, src.id(), delta.End()))
		b.ReportMetric(float64(time.Since(read).Milliseconds()), "apply-ms")
		b.ReportMetric(float64(read.Sub(start).Milliseconds()), "since-ms")
		b.ReportMetric(float64(bytes)/float64(delta.Records()), "bytes/record")
		b.ReportMetric(float64(delta.Records()), "records")
		delta.Close()
		dst.close()
	}
}
