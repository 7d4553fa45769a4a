package sim

import (
	"crypto/ed25519"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/shelffs/shelf/internal/ident"
)

// MaxDevices is how many devices a script may have.
const MaxDevices = 6

// Letters of those that are not there from the beginning.
const (
	twin     = 't' - 'a' // a copy of a device
	joiner   = 'j' - 'a' // joins amid the play
	late     = 'n' - 'a' // joins at the end
	later    = 'o' - 'a' // joins at the end, and hears only the device without keys
	liar     = 'v' - 'a' // the first of those who sign nonsense
	liars    = 3
	stranger = 'z' - 'a' // signs, and nobody knows him
)

// Failure is an invariant that did not hold.
type Failure struct {
	Invariant string
	Step      Step // at which it was noticed; Op is "end" after the last
	Detail    string
}

func (f *Failure) String() string {
	return fmt.Sprintf("%s\nat %v\n%s", f.Invariant, f.Step, f.Detail)
}

// world is the devices of a share while a script is played.
type world struct {
	cfg      Config
	stats    *Stats
	devices  []*device
	left     []*device // members no more
	stores   []*store  // of all devices there ever were
	step     Step
	check    bool // every step
	sealer   sealer
	numbers  numbers
	liars    [liars]*chain
	oracle   oracle
	dice     dice
	restored bool // some disk was put back or copied
	forgot   bool // … by which a device has forgotten somebody who had joined: removals that he had yet to hear of may be collected
	dropped  bool // somebody forgot a removal, or what was dead
	gone     bool // one of a device and its copy is there no more
	joined   bool // somebody has joined
}

// fail ends the play.
func (w *world) fail(invariant, format string, args ...any) {
	panic(&Failure{Invariant: invariant, Step: w.step, Detail: fmt.Sprintf(format, args...)})
}

// Play plays a script and returns what went wrong, nil if nothing did.
func Play(s *Script, cfg Config, stats *Stats) (f *Failure) {
	w := newWorld(s, cfg, stats)
	return w.guarded(func() {
		for _, x := range s.Steps {
			w.play(x)
		}
		w.end()
	})
}

// guarded turns failures, and panics of the product, into a result.
func (w *world) guarded(fn func()) (f *Failure) {
	defer func() {
		switch x := recover().(type) {
		case nil:
		case *Failure:
			f = x
		default:
			f = &Failure{Invariant: "panic", Step: w.step, Detail: fmt.Sprintf("%v\n%s", x, debug.Stack())}
		}
	}()
	fn()
	return nil
}

func newWorld(s *Script, cfg Config, stats *Stats) *world {
	w := &world{cfg: cfg, stats: stats, check: s.Thorough, numbers: newNumbers()}
	w.oracle.w = w
	for i := range s.Devices {
		d := w.add(i)
		d.skew = s.Skew[i]
		d.blind = i == s.Blind
		d.roster[d.id] = true
	}
	w.introduce()
	for _, d := range w.devices {
		d.start()
	}
	return w
}

// play does one step.
func (w *world) play(s Step) {
	w.step = s
	w.dice = dice(mix(uint64(s.N)<<8 | uint64(s.Dev)))
	if do, d := operations[s.Op], w.dev(s.Dev); do != nil && d != nil {
		w.stats.Ops[s.Op]++
		do(w, d, &s)
		w.oracle.rewritten()
	}
}

// dev is the device of a letter, nil if there is none, or none any more.
func (w *world) dev(i int) *device {
	for _, d := range w.devices {
		if d.i == i {
			return d
		}
	}
	return nil
}

// known: members, and those who were.
func known(id ident.DeviceID) bool { return knownIDs()[id] }

var knownIDs = sync.OnceValue(func() map[ident.DeviceID]bool {
	ids := map[ident.DeviceID]bool{}
	for i := range deviceKeys() {
		ids[deviceID(i)] = i != stranger
	}
	return ids
})

func (w *world) members() (out []ident.DeviceID) {
	for _, d := range w.devices {
		if !slices.Contains(out, d.id) { // a copy counts once
			out = append(out, d.id)
		}
	}
	return out
}

// nameOf is what all devices call one, whoever is there.
func nameOf(id ident.DeviceID) string { return deviceNames()[id] }

var deviceNames = sync.OnceValue(func() map[ident.DeviceID]string {
	names := map[ident.DeviceID]string{}
	for i := range deviceKeys() {
		names[deviceID(i)] = deviceName(i)
	}
	return names
})

// deviceKeys are the same in every play, one for each letter.
var deviceKeys = sync.OnceValue(func() (keys [26]ed25519.PrivateKey) {
	for i := range keys {
		seed := make([]byte, ed25519.SeedSize)
		seed[0] = byte(i + 1)
		keys[i] = ed25519.NewKeyFromSeed(seed)
	}
	return keys
})

func deviceID(i int) ident.DeviceID { return ident.DeviceIDOf(deviceKeys()[i]) }

// dice is a source of random bytes and numbers that is the same everywhere (SplitMix64).
type dice uint64

func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

func (d *dice) next() uint64 {
	*d += 0x9e3779b97f4a7c15
	return mix(uint64(*d))
}

// n is a number from 0 to n-1.
func (d *dice) n(n int) int { return int(d.next() >> 1 % uint64(n)) }

// one says yes once in n times.
func (d *dice) one(n int) bool { return d.n(n) == 0 }

// Read implements io.Reader.
func (d *dice) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(d.next() >> 32)
	}
	return len(p), nil
}

func pick[T any](d *dice, list []T) T { return list[d.n(len(list))] }
