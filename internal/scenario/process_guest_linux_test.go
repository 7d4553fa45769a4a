package scenario

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Limits are kept by both ends, for pins and for programs, those of the settings and those that are set at run
// time: a file cannot come sooner than they allow.
func TestLimitsAreKept(t *testing.T) {
	t.Parallel()
	const size = 6_000_000 // three seconds' worth, of which a quarter of a second's may go at once
	a, b := newDevice(t, "desk").up(), newDevice(t, "laptop")
	a.write("one", random(1, size))
	a.write("two", random(2, size))
	a.write("three", random(3, size))
	b.settings("[limits]\nlan_down = \"2MB/s\"\n")
	a.admit(b)
	b.up()
	slowly := func(what string, do func()) {
		t.Helper()
		begun := time.Now()
		if do(); time.Since(begun) < 2200*time.Millisecond {
			t.Errorf("%s took %v", what, time.Since(begun))
		}
	}
	eventually(t, 20*time.Second, "the namespace is there", func() bool { return b.status().Files == 3 })
	slowly("a pin under the limit of the one who asks", func() { b.must("pin", b.path("one")) })
	b.must("limits", "--lan-down", "off")
	a.must("limits", "--lan-up", "2MB/s")
	slowly("a pin under the limit of the one who sends", func() { b.must("pin", b.path("two")) })
	slowly("a program under the limit of the one who sends", func() { b.read("three") })
	if out := a.must("limits"); !strings.Contains(out, "1.9 MiB/s") {
		t.Errorf("limits:\n%s", out)
	}
}

// On a low battery a pin waits and says why, unless a person waits for it; once the machine is plugged in it goes on.
func TestPinsWaitForTheMains(t *testing.T) {
	t.Parallel()
	power := t.TempDir()
	supply := func(name, value string) {
		t.Helper()
		file := filepath.Join(power, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(value+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	supply("AC/type", "Mains")
	supply("AC/online", "0")
	supply("BAT0/type", "Battery")
	supply("BAT0/status", "Discharging")
	supply("BAT0/capacity", "18")
	a, b := newDevice(t, "desk").up(), newDevice(t, "laptop")
	b.prefix = []string{"unshare", "--mount", "sh", "-c", `mount --bind "$0" /sys/class/power_supply && exec "$@"`, power}
	if err := exec.Command(b.prefix[0], append(b.prefix[1:], "true")...).Run(); err != nil {
		cannot(t, "a machine with a battery cannot be made here", err)
	}
	a.write("later", random(1, 1<<20))
	a.write("now", random(2, 1<<20))
	a.must("pin", a.path("later"), a.path("now")) // or b would be asked to hold them
	if err := os.WriteFile(filepath.Join(b.home, "config.toml"), []byte("[background]\npressure = false\nmetered = \"no\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a.admit(b)
	eventually(t, 20*time.Second, "the namespace is there", func() bool { return b.status().Files == 2 })

	if out := b.must("pin", "--no-wait", "/later"); !strings.Contains(out, "waits, on battery at 18 %") {
		t.Errorf("pin --no-wait:\n%s", out)
	}
	if out := b.must("pin", "/now"); !strings.Contains(out, "all of it is here") {
		t.Errorf("pin:\n%s", out)
	}
	var st struct {
		Background struct {
			OnBattery bool `json:"on_battery"`
			Waits     []struct {
				What   string
				Files  int
				Reason string
			}
		}
	}
	b.decode(&st, "status", "--json")
	if w := st.Background.Waits; !st.Background.OnBattery || len(w) == 0 || w[0].What != "pins" || w[0].Files != 1 || w[0].Reason != "on battery at 18 %" {
		t.Errorf("status: %+v", st.Background)
	}
	if out := b.must("why", "/later"); !strings.Contains(out, "that waits: on battery at 18 %") {
		t.Errorf("why:\n%s", out)
	}
	if b.pathStatus("/later").LocalBytes != 0 {
		t.Error("it was fetched")
	}
	supply("AC/online", "1")
	eventually(t, time.Minute, "the pin goes on", func() bool { return b.pathStatus("/later").Complete })
	if b.decode(&st, "status", "--json"); len(st.Background.Waits) != 0 {
		t.Errorf("status on mains: %+v", st.Background)
	}
}
