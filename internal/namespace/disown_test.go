package namespace

import (
	"bytes"
	"reflect"
	"testing"
)

// However long a side is, a cut names few of its ends: the first, the late ones, and the last.
func TestCutsNameFewEnds(t *testing.T) {
	for _, n := range []int{1, 2, lateEnds, lateEnds + 1, 1000, 1 << 20} {
		all := make([]head, n)
		for i := range all {
			all[i].last = uint64(3*i + 7)
		}
		few := fewEnds(all)
		if len(few) > maxEnds || few[0] != all[0] || few[len(few)-1] != all[n-1] {
			t.Errorf("of %d ends: %d", n, len(few))
		}
		if late := all[max(0, n-lateEnds):]; !reflect.DeepEqual(few[len(few)-len(late):], late) {
			t.Errorf("of %d ends the late ones are not there", n)
		}
		cuts := []Cut{{Incarnation: 2, First: 5, Ends: few, Whole: 9, By: 3, Upto: 4}, {Incarnation: 1, First: 1, Ends: few[:1], By: 2}}
		if got, ok := parseCuts(appendCuts(nil, cuts)); !ok || !reflect.DeepEqual(got, cuts) {
			t.Errorf("of %d ends: read back %v, %v", n, got, ok)
		}
	}
}

func TestCutsAreChecked(t *testing.T) {
	two := []head{{last: 5}, {last: 9}}
	good := Cut{Incarnation: 1, First: 5, Ends: two, By: 2}
	for name, change := range map[string]func(*Cut){
		"without ends": func(c *Cut) { c.Ends = nil },
		"too many ends": func(c *Cut) {
			c.Ends = nil
			for i := range maxEnds + 1 {
				c.Ends = append(c.Ends, head{last: uint64(5 + i)})
			}
		},
		"ends that descend": func(c *Cut) { c.Ends = []head{two[1], two[0]} },
		"ends before first": func(c *Cut) { c.First = 6 },
		"first of nothing":  func(c *Cut) { c.First = 0 },
		"by an older one":   func(c *Cut) { c.By = 1 },
	} {
		c := good
		change(&c)
		if got, ok := parseCuts(appendCuts(nil, []Cut{c})); ok {
			t.Errorf("%s: %v", name, got)
		}
	}
	b := appendCuts(nil, []Cut{good})
	for n := 1; n < len(b); n++ {
		if _, ok := parseCuts(bytes.Clone(b[:n])); ok {
			t.Errorf("the first %d of %d bytes are a cut", n, len(b))
		}
	}
}
