package blocks

import "sync/atomic"

// lent is memory that sealed bytes lie in until nobody holds them.
type lent struct {
	holders atomic.Int32
	back    func()
}

// Lend names sealed bytes in memory that is used again: back is called when all who hold the block are Done with it.
// The caller holds it; so does whoever is given it. Of those who never say Done the memory is the collector's.
func Lend(d Digest, sealed []byte, back func()) Sealed {
	l := &lent{back: back}
	l.holders.Store(1)
	return Sealed{Digest: d, Bytes: sealed, lent: l}
}

// Hold makes one holder more. Only a holder may.
func (s Sealed) Hold() {
	if s.lent != nil {
		s.lent.holders.Add(1)
	}
}

// Done ends one hold: whoever had it must not look at Bytes any more. Of a block that is not lent it means nothing.
func (s Sealed) Done() {
	if s.lent != nil && s.lent.holders.Add(-1) == 0 {
		s.lent.back()
	}
}
