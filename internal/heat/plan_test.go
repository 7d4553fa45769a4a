package heat

import (
	"math/rand/v2"
	"testing"

	"github.com/shelffs/shelf/internal/namespace"
)

func node(i int) (n namespace.NodeID) {
	n[0], n[1] = byte(i>>8), byte(i)
	n[2] = 1
	return n
}

// The budget is never exceeded, what is left out does not fit beside what is hotter, and the order in which
// the wishes come does not matter.
func TestChoiceKeepsTheBudget(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 4))
		wishes := make([]wish, r.IntN(40))
		for i := range wishes {
			wishes[i] = wish{node: node(i), size: r.Int64N(1000), heat: r.Float64() * 20, was: r.IntN(3) == 0}
		}
		budget := r.Int64N(8000)
		got := choose(wishes, budget)
		in, left := map[namespace.NodeID]bool{}, budget
		for _, w := range got {
			in[w.node] = true
			left -= w.size
		}
		if left < 0 {
			t.Fatalf("seed %d: %d over the budget", seed, -left)
		}
		for _, w := range wishes {
			if !in[w.node] && w.size <= left {
				t.Fatalf("seed %d: %d bytes are left, and %d are not taken", seed, left, w.size)
			}
		}
		r.Shuffle(len(wishes), func(i, j int) { wishes[i], wishes[j] = wishes[j], wishes[i] })
		again := choose(wishes, budget)
		if len(again) != len(got) {
			t.Fatalf("seed %d: the order matters", seed)
		}
		for i := range got {
			if got[i] != again[i] {
				t.Fatalf("seed %d: the order matters", seed)
			}
		}
	}
}

// Of two files that do not both fit and are about as hot, the one that was chosen stays, however often
// their heats pass each other.
func TestChoiceDoesNotFlap(t *testing.T) {
	a, b := wish{node: node(1), size: 10, heat: 4, was: true}, wish{node: node(2), size: 10, heat: 5}
	if got := choose([]wish{a, b}, 15); len(got) != 1 || got[0].node != a.node {
		t.Errorf("gave up what it had for a little: %v", got)
	}
	if b.heat = 7; choose([]wish{a, b}, 15)[0].node != b.node {
		t.Error("kept what is much colder")
	}
}

// The heat of a folder makes hot what appears in it, only where much is used there.
func TestFolderLendsHeat(t *testing.T) {
	for _, c := range []struct {
		own, folder float64
		hot         bool
	}{{0, 3, false}, {1, 1, false}, {1, 3, false}, {1, 9, true}, {0, 12, false}, {0, 20, true}, {0, 1e6, true}, {2, 2, true}} {
		if w := warmth(c.own, c.folder); (w >= hotFrom) != c.hot || w > c.own+hotFrom {
			t.Errorf("%+v: %g", c, w)
		}
	}
}
