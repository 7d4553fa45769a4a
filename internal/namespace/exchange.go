package namespace

import (
	"context"

	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/namespace/merge"
)

// MaxFrame is the longest frame of records, and MaxRecords the largest number of records in
// one.
const (
	MaxFrame   = 576 << 10
	MaxRecords = 4096
)

// Hello is what two replicas tell each other first. It travels as CBOR (Encode, ParseHello).
type Hello struct {
	Version      uint8          `cbor:"1,keyasint"`
	Share        [16]byte       `cbor:"2,keyasint"` // the share under a PRF of its read key
	Incarnations []ident.Writer `cbor:"3,keyasint"` // the newest of each device
	Claims       merge.Claims   `cbor:"4,keyasint"` // durable
	Fingerprint  [16]byte       `cbor:"5,keyasint"` // sum of the hashes of all live versions' dots …
	Settled      bool           `cbor:"6,keyasint"` // … to be compared only where both are settled and claim the same
}

// Encode returns the bytes of h.
func (h Hello) Encode() []byte { panic("unfinished") }

// ParseHello is the inverse of Encode, with all bounds checked. Protocol.
func ParseHello(b []byte) (Hello, error) { panic("unfinished") }

// EncodeClaims and ParseClaims are for messages that carry claims alone.
func EncodeClaims(c Claims) []byte { panic("unfinished") }

// ParseClaims is the inverse of EncodeClaims. Protocol.
func ParseClaims(b []byte) (Claims, error) { panic("unfinished") }

// Hello says where this replica stands.
func (r *Replica) Hello() Hello { panic("unfinished") }

// Claims are what this replica durably includes.
func (r *Replica) Claims() Claims { panic("unfinished") }

// Changed returns a channel that is closed when the durable claims have advanced since the
// call. To miss nothing: take the channel, then look at Claims, then wait.
func (r *Replica) Changed() <-chan struct{} { panic("unfinished") }

// Since begins the delta for a peer with the given claims. It first makes everything here
// durable, because nothing may be sent before.
func (r *Replica) Since(ctx context.Context, theirs Claims) (*Delta, error) { panic("unfinished") }

// Delta is what one peer lacks, as frames. It reads a snapshot: Close it soon.
type Delta struct{}

// Next returns the next frame, at most MaxFrame bytes, memory of its own; io.EOF at the end.
func (d *Delta) Next() ([]byte, error) { panic("unfinished") }

// Claims are what the receiver may claim when it has applied all frames (Complete).
func (d *Delta) Claims() Claims { panic("unfinished") }

// Records is how many records the frames returned so far held.
func (d *Delta) Records() int { panic("unfinished") }

// Close ends the delta.
func (d *Delta) Close() error { panic("unfinished") }

// Apply verifies one frame and merges its records; they show at once. A record or batch that
// fails a check is quarantined and never applied, the others are: the result is then of kind
// Corrupt, the session may go on, and Complete claims nothing from the bad one on. Protocol:
// the frame cannot be read at all.
func (r *Replica) Apply(ctx context.Context, from ident.DeviceID, frame []byte) error {
	panic("unfinished")
}

// Complete says that all frames of a delta from this peer were applied: its claims become
// ours, durably, before it returns; the result is what we claim now, to be sent back.
func (r *Replica) Complete(ctx context.Context, from ident.DeviceID, theirs Claims) (Claims, error) {
	panic("unfinished")
}

// Acknowledged stores what a peer says it durably claims; Acks returns what each has said.
func (r *Replica) Acknowledged(peer ident.DeviceID, theirs Claims) error { panic("unfinished") }
func (r *Replica) Acks() map[ident.DeviceID]Claims                       { panic("unfinished") }

// Quarantined returns how many records and batches were refused since Open, and why the
// last one was.
func (r *Replica) Quarantined() (n int, last error) { panic("unfinished") }
