//go:build linux

package scenario

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// heatAnswer is the part of `shelf heat --json` that the script looks at.
type heatAnswer struct {
	Status *struct{ Files int64 }
	Files  []struct {
		Path, Kept string
		Heat       float64
		Complete   bool
	}
}

// ledgerAnswer is the same of `shelf ledger --json`.
type ledgerAnswer struct {
	Runs []struct {
		Program string
		Files   int64
		Ahead   int64 `json:"ahead_bytes"`
	}
}

// What somebody works on at one device is on the other before anybody opens it there, and newer contents of it too; not
// what nobody used but a copying program and an indexer, and not where heat is off.
func TestWhoWalksToAnotherDeviceFindsTheWorkThere(t *testing.T) {
	t.Parallel()
	a, b, off := newDevice(t, "desk"), newDevice(t, "lap"), newDevice(t, "off")
	a.settings("")
	b.settings("")
	a.up()
	for _, d := range []*device{b, off} {
		a.admit(d)
		d.up()
	}
	doc, quiet := random(1, 3<<20), random(2, 1<<20)
	a.write("essays/thesis", doc)
	src := t.TempDir() + "/quiet"
	if err := os.WriteFile(src, quiet, 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cp", src, a.path("quiet")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got, complaint, err := reads(named(t, "updatedb"), a.path("quiet")); err != nil || !bytes.Equal(got, quiet) {
		t.Fatal(complaint, err)
	}
	eventually(t, 90*time.Second, "lap has what was written on desk", func() bool {
		s, code := b.try("status", "/essays/thesis", "--json")
		return code == 0 && strings.Contains(s, `"complete":true`) && strings.Contains(s, `"kept":"used on desk"`)
	})
	var l ledgerAnswer
	eventually(t, 10*time.Second, "the ledger has it", func() bool { b.decode(&l, "ledger", "--json"); return len(l.Runs) > 0 })
	if len(l.Runs) != 1 || l.Runs[0].Program != "shelf hand-off" || l.Runs[0].Files != 1 || l.Runs[0].Ahead < int64(len(doc)) {
		t.Errorf("the ledger: %+v", l.Runs)
	}
	if out := b.must("why", b.path("essays/thesis")); !strings.Contains(out, "used on desk") {
		t.Errorf("why: %s", out)
	}
	var h heatAnswer
	b.decode(&h, "heat", "--json")
	if len(h.Files) != 1 || h.Files[0].Path != "/essays/thesis" || h.Files[0].Kept != "used on desk" || h.Files[0].Heat != 0 || !h.Files[0].Complete || h.Status.Files != 1 {
		t.Errorf("heat on lap: %+v", h)
	}
	// All that was told came at once, so that what has not come by now never will.
	if s := b.pathStatus("/quiet"); s.LocalBytes != 0 {
		t.Errorf("nobody used it, and %d bytes were brought", s.LocalBytes)
	}
	if s := off.status(); s.Transferred.BlocksIn != 0 {
		t.Errorf("heat is off, and %d blocks came", s.Transferred.BlocksIn)
	}
	if out := off.must("heat"); !strings.Contains(out, "off") {
		t.Errorf("heat where it is off: %s", out)
	}

	doc = append(doc, "another sentence"...)
	a.write("essays/thesis", doc)
	eventually(t, 90*time.Second, "lap has the newer content", func() bool {
		s := b.pathStatus("/essays/thesis")
		return s.Size == int64(len(doc)) && s.Complete
	})
	a.must("down")
	if !bytes.Equal(b.read("essays/thesis"), doc) {
		t.Error("without desk, another content is read")
	}
	a.up()
	a.decode(&h, "heat", "/essays", "--json")
	if len(h.Files) != 1 || h.Files[0].Heat < 0.9 {
		t.Errorf("heat on desk after a restart: %+v", h.Files)
	}
}
