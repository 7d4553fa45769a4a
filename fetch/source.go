package fetch

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/ident"
)

// Request asks one device for one block.
type Request struct {
	Digest   blocks.Digest
	Priority Priority
	Progress *atomic.Uint64  // may be nil; grows by the bytes that arrive
	Sum      *blocks.Summer  // may be nil; the source may let it take in the bytes as they arrive
	Raise    <-chan Priority // may be nil; tells that the request has become more urgent
	// Room may be nil; gives memory for so many bytes, of length 0: the answer may be put there. To be called once at most. Where Fetch fails it
	// may be written to later on.
	Room func(n int) []byte
	// Part, if it is not empty, is all that is asked for: the answer is the block's header, and these bytes behind it.
	Part blocks.Span

	// Along, if it is not nil, says that the block is a manifest of whose blocks Next is needed soon: those that the device
	// sends along are handed to it before Fetch returns. They are claims as well.
	Along func(blocks.Sealed)
	Next  blocks.Stretch
}

// Source is one device that may be asked for blocks. It must be safe for concurrent use:
// many requests are under way at once.
//
// Fetch returns the bytes as the device sent them, which are a claim and nothing more until
// the fetcher has verified them. Its errors: NotExist when the device answered that it
// does not have the block (or must not give it: the two look the same), Exhausted when it is
// too busy now, Offline when it cannot be reached or the connection broke, Timeout when it
// stopped answering, Protocol when it broke the protocol. Fetch returns soon after ctx ends.
type Source interface {
	Device() ident.DeviceID
	Fetch(ctx context.Context, r Request) ([]byte, error)
}

// Path is the kind of way to a device, nearest first.
type Path uint8

const (
	Loopback Path = 0 // on this machine
	LAN      Path = 1 // on this network
	Direct   Path = 2 // over the internet, without help
	Relay    Path = 3 // through a relay
	Unknown  Path = 4
)

// Candidate is a device that may be asked, and the way to it.
type Candidate struct {
	Source    Source
	Connected bool
	Path      Path
	RTT       time.Duration // 0: not measured
	LastSeen  time.Time     // of a device that is not connected; zero: never
}

// Locator names the devices that there are. Each may have any block: a person has few, and the fetcher
// soon learns who has what.
type Locator interface {
	// Devices returns every device, in no particular order, those that are not connected too. It is
	// asked often and must not block: it tells what is known. The caller does not change what it gets.
	Devices() []Candidate
	// Changed returns a channel that is closed when a device connects or disconnects next.
	Changed() <-chan struct{}
}

var pathNames = [...]string{Loopback: "loopback", LAN: "lan", Direct: "direct", Relay: "relay", Unknown: ""}

func (p Path) String() string { return pathNames[min(p, Unknown)] }

// PathNamed is the inverse of Path.String; Unknown for any other name.
func PathNamed(name string) Path {
	for p, n := range pathNames {
		if n == name {
			return Path(p)
		}
	}
	return Unknown
}
