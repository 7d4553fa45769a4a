package fstest

import (
	"fmt"
	"math/rand"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/shelffs/shelf/fs"
	"github.com/shelffs/shelf/fs/alias"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

// processor reports the processor's time for each of n: on a busy machine the only one that tells.
func processor(b *testing.B) (report func(n int, unit string)) {
	now := func() int64 {
		var u unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return u.Utime.Nano() + u.Stime.Nano()
	}
	began := now()
	return func(n int, unit string) { b.ReportMetric(float64(now()-began)/1000/float64(n), "cpu-us/"+unit) }
}

// BenchmarkNames compares mounts with different rules for names in one large directory, half of
// whose names have capitals: go test ./fs/fstest -bench Names -run none
func BenchmarkNames(b *testing.B) {
	const files = 100_000
	name := func(i int) string {
		if i%2 == 0 {
			return fmt.Sprintf("IMG_%06d.JPG", i)
		}
		return fmt.Sprintf("img_%06d.jpg", i)
	}
	for _, r := range []alias.Rules{alias.Exact, alias.Windows, alias.Mac} {
		dir := b.TempDir()
		d, err := start(dir, setup{n: 1, rules: r})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { d.stop() })
		lookup := func(b *testing.B, name string) bool {
			a, err := d.fs.Lookup(bg, fs.RootIno, name)
			if err == nil {
				d.fs.Forget(a.Ino, 1)
			}
			return err == nil
		}
		b.Run(r.String()+"/create", func(b *testing.B) {
			report := processor(b)
			for i := range files { // once: what follows uses them
				if _, err := d.names.Create(namespace.Root, name(i), namespace.Spec{Kind: namespace.File}); err != nil && !errs.Is(err, errs.Exist) {
					b.Fatal(err)
				}
			}
			report(files, "file")
		})
		rng := rand.New(rand.NewSource(1))
		for how, ask := range map[string]func() string{
			"as it is":   func() string { return name(rng.Intn(files)) },
			"other case": func() string { return strings.ToUpper(name(rng.Intn(files)/2*2 + 1)) },
			"missing":    func() string { return fmt.Sprintf("IMG_%d.PNG", rng.Intn(files)) },
		} {
			if how == "other case" && !r.Folds() {
				continue
			}
			b.Run(r.String()+"/lookup "+how, func(b *testing.B) {
				report := processor(b)
				defer func() { report(b.N, "op") }()
				for b.Loop() {
					if lookup(b, ask()) == (how == "missing") {
						b.Fatal("not as it should be")
					}
				}
			})
		}
		b.Run(r.String()+"/list", func(b *testing.B) {
			n, report := 0, processor(b)
			for b.Loop() {
				dir, err := d.fs.Opendir(bg, fs.RootIno)
				if err != nil {
					b.Fatal(err)
				}
				if err := dir.Read(bg, 0, func(fs.Dirent) bool { n++; return true }); err != nil {
					b.Fatal(err)
				}
			}
			report(n, "entry")
		})
	}
}
