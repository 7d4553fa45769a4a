package heat

import (
	"cmp"
	"slices"

	"github.com/shelffs/shelf/internal/namespace"
)

// A file becomes hot at two uses within a week, and is so until it has had the worth of one use for a week:
// between the two it stays what it was, or it would come and go.
const (
	hotFrom  = 1.5
	hotUntil = 0.5
)

// A folder lends its files a share of its heat, up to what makes a file hot: what appears in a folder where
// somebody works every day is wanted though nobody has opened it yet.
const folderShare = 1. / 12

// warmth is the heat of a file with what its folder lends it; folder is the heat of all files in it.
func warmth(own, folder float64) float64 {
	return own + min(max(folder-own, 0)*folderShare, hotFrom)
}

// wish is a file that may be kept.
type wish struct {
	node namespace.NodeID
	size int64
	heat float64 // its warmth, or the heat elsewhere, whichever is more
	near bool    // it is hot elsewhere only: it may come from this network, and from nowhere else
	was  bool    // it was among those chosen before
}

// choose takes the hottest wishes that fit into a budget of bytes together, the hottest first. One that was chosen
// before is given up only for one that is clearly hotter. What does not fit is passed over: a
// large file does not keep smaller ones away.
func choose(wishes []wish, budget int64) []wish {
	rank := func(w wish) float64 {
		if w.was {
			return w.heat * 1.5
		}
		return w.heat
	}
	wishes = slices.SortedFunc(slices.Values(wishes), func(a, b wish) int {
		return cmp.Or(cmp.Compare(rank(b), rank(a)), a.node.Compare(b.node))
	})
	return slices.DeleteFunc(wishes, func(w wish) bool {
		if w.size > budget {
			return true
		}
		budget -= w.size
		return false
	})
}
