package sim

import (
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace"
)

// numbers is what devices have signed of their own logs and sent: a number that others have
// seen stands for the same write for ever, whatever crashes (invariant 27).
type numbers struct {
	sent map[namespace.Dot][hashLen]byte
	// forked are writers whose disk was put back, or copied, without their noticing: until they
	// are told they cannot know which numbers they have used.
	forked map[ident.Writer]bool
}

func newNumbers() numbers {
	return numbers{map[namespace.Dot][hashLen]byte{}, map[ident.Writer]bool{}}
}

// sends looks at a frame on its way out of a device, at what that device wrote itself.
func (w *world) sends(src *device, frame []byte) {
	for _, b := range readFrame(frame).batches {
		by := b.writer()
		if by.Device != src.id || w.numbers.forked[by] {
			continue
		}
		for i := 0; i < len(b.hashes); i += hashLen {
			d := namespace.Dot{Writer: by, Seq: b.first() + uint64(i/hashLen)}
			sum := [hashLen]byte(b.hashes[i:])
			if was, sent := w.numbers.sent[d]; sent && was != sum {
				w.fail("number used again", "write %d of %s is not what it was when it was sent", d.Seq, nameOf(by.Device))
			}
			w.numbers.sent[d] = sum
		}
	}
}

// fork notes that there may be two logs of what the device now writes as.
func (w *world) fork(d *device) { w.numbers.forked[d.names.Writer()] = true }
