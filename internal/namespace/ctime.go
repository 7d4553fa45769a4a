package namespace

import (
	"slices"

	"github.com/shelffs/shelf/internal/namespace/merge"
)

// moveCtime notes that something of a node changed of which its entry is not made: its links, or an
// extended attribute. It is a record of times that counts for no bytes and stands beside one that does,
// which it neither covers nor hides (N11).
func (t *tx) moveCtime(id NodeID) {
	reg := regID{node: id, kind: regTimes}
	var cover []*merge.Version
	for _, v := range t.held(reg) {
		if timesOf(v).of == (times{}.of) {
			cover = append(cover, v)
		}
	}
	t.write(reg, &merge.Version{T: t.stamp(id), Class: merge.Set, Value: encodeTimes(times{})}, cover)
}

func timesOf(v *merge.Version) times {
	x, _ := decodeTimes(v.Value)
	return x
}

// newestTimes are the newest times that count for bytes, such as want accepts; nil: there are none.
func newestTimes(r merge.Register, want func(bytes [16]byte) bool) *merge.Version {
	for _, v := range slices.Backward(r) {
		if of := timesOf(v).of; of != (times{}.of) && want(of) {
			return v
		}
	}
	return nil
}
