package sim

import "testing"

// small is a world of so many devices, all checks on.
func small(devices int) *world {
	return newWorld(&Script{Devices: devices, Skew: make([]int64, devices), Blind: -1, Thorough: true}, Config{}, NewStats())
}

// Each lie is one: it is refused, and what its teller wrote before is not.
func TestLiesAreRefused(t *testing.T) {
	for _, kind := range lieKinds() {
		w := small(2)
		f := w.guarded(func() { w.play(Step{Dev: 1, Op: "lie", Args: []string{"0", kind}}) })
		if f != nil {
			t.Fatalf("%s: %v", kind, f)
		}
		if n, _ := w.devices[1].names.Quarantined(); n == 0 {
			t.Errorf("%s was not refused", kind)
		}
		if _, err := w.devices[1].names.Resolve("honest v"); (err == nil) != (kind != "stranger") {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

// A record that a device commits before its blocks are durable is found out.
func TestBlocksComeFirst(t *testing.T) {
	w := small(1)
	d := w.devices[0]
	f := w.guarded(func() {
		w.play(Step{Op: "create", Args: []string{"a", "9"}})
		w.play(Step{Op: "sync"})
		delete(d.store.durable, 9) // as if it had been put last
		d.store.cached[9] = true
		w.play(Step{Op: "crash", Args: []string{"0"}})
	})
	if f == nil || f.Invariant != "no record without its blocks" {
		t.Error(f)
	}
}

// A device that forgets what it has sent, and numbers on, is found out.
func TestNumbersAreWatched(t *testing.T) {
	w := small(3)
	f := w.guarded(func() {
		w.play(Step{Op: "image", Dev: 0})
		w.play(Step{Op: "create", Dev: 0, Args: []string{"a", "9"}})
		w.play(Step{Op: "pull", Dev: 1, Args: []string{"a", "100", "1"}})
		w.play(Step{Op: "restore", Dev: 0, Args: []string{"unnoticed"}})
		clear(w.numbers.forked)
		w.play(Step{Op: "create", Dev: 0, Args: []string{"b", "10"}})
		w.play(Step{Op: "pull", Dev: 2, Args: []string{"a", "100", "0"}})
	})
	if f == nil || f.Invariant != "number used again" {
		t.Error(f)
	}
}

// What others have of a disk that is put back must stay, what nobody can have need not.
func TestOnlyWhatNobodyHasMayBeLost(t *testing.T) {
	for _, c := range []struct {
		told []Step
		want fate
	}{
		{nil, lost},
		{[]Step{{Op: "pull", Dev: 1, Args: []string{"a", "1", "0"}}}, lost},  // nothing arrived
		{[]Step{{Op: "pull", Dev: 1, Args: []string{"a", "1", "1"}}}, vague}, // perhaps a part
		{[]Step{{Op: "pull", Dev: 1, Args: []string{"a", "100"}}}, kept},
	} {
		w := small(2)
		w.play(Step{Op: "image", Dev: 0})
		w.play(Step{Op: "create", Dev: 0, Args: []string{"a", "9"}})
		f := w.oracle.facts[0]
		for _, s := range c.told {
			w.play(s)
		}
		w.play(Step{Op: "restore", Dev: 0})
		if got := w.oracle.fate(&f, w.knowledge()); got != c.want {
			t.Errorf("%v: %v, want %v", c.told, got, c.want)
		}
	}
}
