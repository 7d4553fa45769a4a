package fs

import (
	"context"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/namespace"
)

// Gate decides which programs may bring bytes to this device; *hydration.Gate is one. It is asked only
// by a read that needs blocks that are not here, so that reads of what is here cost nothing more, and
// not for what this filesystem needs itself: to save a file of which a part was written.
type Gate interface {
	// Admit is asked before anything is fetched. Withheld: this reader may not have it; then
	// nothing is. An error about an Ask with Ahead is nobody's: the reader hears nothing of it.
	Admit(ctx context.Context, r Reader, a Ask) (Leave, error)
}

// Reader is who reads: a process of this machine as far as the adapter knows it.
type Reader struct {
	PID uint32 // of the process or of one of its threads; 0: not known
}

// Ask is what a Gate is asked about.
type Ask struct {
	Node   namespace.NodeID
	Blocks int          // that are neither here nor on their way
	Bytes  int64        // of the file, in these
	Ahead  bool         // nobody has asked for it yet: it is read ahead
	Refs   []blocks.Ref // they themselves, those with bytes of the file
}

func (a *Ask) add(r blocks.Ref) {
	a.Blocks, a.Bytes, a.Refs = a.Blocks+1, a.Bytes+int64(r.Length), append(a.Refs, r)
}

// Leave is what a Gate grants.
type Leave struct {
	Wait time.Duration // how long the reader waits at most; 0: as long as Blocks do
	// Done is told the outcome; nil where nobody wants to know.
	Done func(err error)
}

type readerKey struct{}

// WithReader returns ctx with who reads.
func WithReader(ctx context.Context, r Reader) context.Context {
	return context.WithValue(ctx, readerKey{}, r)
}

// IsReaderKey reports whether key is that under which a context of an adapter's own has its Reader.
func IsReaderKey(key any) bool { return key == readerKey{} }

// readerOf is who reads, if ctx says so.
func readerOf(ctx context.Context) (Reader, bool) {
	r, ok := ctx.Value(readerKey{}).(Reader)
	return r, ok
}

// onBehalf is the context of what outlives its caller, and whose Reader is that of ctx.
func (fs *FS) onBehalf(ctx context.Context) context.Context {
	if fs.cfg.Gate != nil {
		if r, ok := readerOf(ctx); ok {
			return WithReader(fs.ctx, r)
		}
	}
	return fs.ctx
}

// nobody is told the outcome.
func nobody(error) {}

// pass asks the gate for what a read needs and is not here. The context that it returns
// ends when the reader has waited long enough; done must be called.
func (fs *FS) pass(ctx context.Context, id namespace.NodeID, needs []need) (_ context.Context, done func(error), err error) {
	r, ok := readerOf(ctx)
	if fs.cfg.Gate == nil || !ok {
		return ctx, nobody, nil
	}
	a := Ask{Node: id}
	away := false
	for _, nd := range needs {
		if nd.IsHole() {
			continue
		}
		opened, coming := fs.plain.find(plainKey{nd.Digest, nd.part})
		if opened {
			continue
		}
		here, flying := fs.cfg.Blocks.Find(nd.Digest)
		if here {
			continue
		}
		away = true
		if !coming && !flying {
			a.add(blocks.Ref{Digest: nd.Digest, Length: uint64(nd.n)})
		}
	}
	if !away {
		return ctx, nobody, nil
	}
	return fs.admitted(ctx, r, a)
}

func (fs *FS) admitted(ctx context.Context, r Reader, a Ask) (_ context.Context, done func(error), err error) {
	l, err := fs.cfg.Gate.Admit(ctx, r, a)
	if err != nil {
		return nil, nil, err
	}
	stop := func() {}
	if l.Wait > 0 {
		ctx, stop = context.WithTimeout(ctx, l.Wait)
	}
	return ctx, func(err error) {
		stop()
		if l.Done != nil {
			l.Done(err)
		}
	}, nil
}

// aheadOf leaves of blocks of a file those that may be read ahead: only what is here, for a reader that
// the gate does not let.
func (fs *FS) aheadOf(ctx context.Context, id namespace.NodeID, refs []blocks.Ref) []blocks.Ref {
	if _, ok := readerOf(ctx); fs.cfg.Gate == nil || !ok {
		return refs
	}
	a := Ask{Node: id}
	var here []blocks.Ref
	for _, ref := range refs {
		switch is, coming := fs.cfg.Blocks.Find(ref.Digest); {
		case is:
			here = append(here, ref)
		case !coming:
			a.add(ref)
		}
	}
	if a.Blocks == 0 {
		return refs
	}
	if !fs.mayAhead(ctx, a) {
		return here
	}
	return refs
}

// mayAhead reports whether the gate lets the reader have what a says ahead.
func (fs *FS) mayAhead(ctx context.Context, a Ask) bool {
	r, ok := readerOf(ctx)
	if fs.cfg.Gate == nil || !ok {
		return true
	}
	a.Ahead = true
	_, done, err := fs.admitted(ctx, r, a)
	if err != nil {
		return false
	}
	done(nil)
	return true
}

// aheadOfRoots leaves of files those whose roots are not here and may be read ahead: none for a reader that the gate
// does not let.
func (fs *FS) aheadOfRoots(ctx context.Context, files []upcoming) (ahead []upcoming) {
	for _, f := range files {
		here, coming := fs.cfg.Blocks.Find(f.Root)
		if here {
			continue
		}
		a := Ask{Node: f.id}
		if coming {
		} else if f.Depth == 0 {
			a.add(blocks.Ref{Digest: f.Root, Length: f.Size})
		} else { // a manifest
			a.Blocks = 1
		}
		if !fs.mayAhead(ctx, a) {
			return nil
		}
		ahead = append(ahead, f)
	}
	return ahead
}

// gated is Blocks for the manifests of one file: what they bring for a reader, the gate is asked about.
type gated struct {
	fs   *FS
	node namespace.NodeID
	from Blocks
}

// getter brings the manifests of the file id.
func (fs *FS) getter(id namespace.NodeID, from Blocks) blocks.Getter {
	if fs.cfg.Gate == nil {
		return from
	}
	return gated{fs, id, from}
}

// GetBlock implements blocks.Getter. A manifest counts as no bytes of the file.
func (g gated) GetBlock(ctx context.Context, d blocks.Digest) (blocks.Sealed, error) {
	return g.get(ctx, d, func(ctx context.Context) (blocks.Sealed, error) { return g.from.GetBlock(ctx, d) })
}

// GetManifest implements blocks.Walker. What comes along counts when it is read.
func (g gated) GetManifest(ctx context.Context, d blocks.Digest, next blocks.Stretch) (blocks.Sealed, error) {
	w, ok := g.from.(blocks.Walker)
	if !ok {
		return g.GetBlock(ctx, d)
	}
	return g.get(ctx, d, func(ctx context.Context) (blocks.Sealed, error) { return w.GetManifest(ctx, d, next) })
}

func (g gated) get(ctx context.Context, d blocks.Digest, get func(context.Context) (blocks.Sealed, error)) (b blocks.Sealed, err error) {
	if r, ok := readerOf(ctx); ok {
		if here, _ := g.fs.cfg.Blocks.Find(d); !here {
			var done func(error)
			if ctx, done, err = g.fs.admitted(ctx, r, Ask{Node: g.node, Blocks: 1}); err != nil {
				return blocks.Sealed{}, err
			}
			defer func() { done(err) }()
		}
	}
	return get(ctx)
}
