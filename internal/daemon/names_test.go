package daemon

import (
	"context"
	"testing"

	"github.com/shelffs/shelf/fs/alias"
	"github.com/shelffs/shelf/internal/control/controlapi"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/namespace"
)

// Paths are understood as the mount shows them, and answered as they are in the share.
func TestPathsAsTheMountShowsThem(t *testing.T) {
	s, ctx := home(t), context.Background()
	s.Names = "exact"
	d := mustOpen(t, s, &lonely{})
	dir, err := d.names.Create(namespace.Root, "Dir", namespace.Spec{Kind: namespace.Dir})
	for _, name := range []string{"Readme.md", "README.md", "a:b"} {
		if err == nil {
			_, err = d.names.Create(dir.ID, name, namespace.Spec{Kind: namespace.Fifo})
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	aka := "/dir/" + alias.Windows.Show("Readme.md", []string{"README.md", "Readme.md"})
	paths := map[string]string{aka: "/Dir/Readme.md", "/DIR/readme.MD": "/Dir/README.md", "/Dir/Readme.md": "/Dir/Readme.md"}
	for range 2 { // first exactly, then as Windows has it
		for typed, want := range paths {
			st, err := d.PathStatus(ctx, typed)
			if s.Names == "exact" && typed != want {
				if !errs.Is(err, errs.NotExist) {
					t.Errorf("%s: %+v %v", typed, st, err)
				}
				continue
			}
			v, verr := d.Versions(ctx, typed)
			if err != nil || verr != nil || st.Path != want || v.Path != want {
				t.Errorf("%s: %+v %v, %+v %v", typed, st, err, v, verr)
			}
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		s.Names = "windows"
		d = mustOpen(t, s, &lonely{})
	}
	defer d.Close()
	var names []string
	if err := d.List(ctx, "/DIR", func(e controlapi.Entry) error { names = append(names, e.Name); return nil }); err != nil || len(names) != 3 {
		t.Error(names, err)
	}
}
