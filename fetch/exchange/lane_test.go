package exchange

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/simnet"
)

// deaf is a stream that brings what comes, reset or not, as one does whose bytes are here already.
type deaf struct {
	Stream
	io.Reader
}

func (d deaf) Read(b []byte) (int, error)         { return d.Reader.Read(b) }
func (d deaf) Write(b []byte) (int, error)        { return len(b), nil }
func (d deaf) Reset() error                       { return nil }
func (d deaf) SetWriteDeadline(_ time.Time) error { return nil }

// A lane that fails while an answer comes for which nobody waits any more ends all the same: it has one answer for each question.
func TestALaneThatFailsAmidAnAnswerEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := New(Config{Network: simnet.New(simnet.Link{}).Host(alice), Store: none{}})
		out, in := io.Pipe()
		l := newLane(x.remote(mal), deaf{Reader: out}, func() {})
		if !l.start() {
			t.Fatal("closed")
		}
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan error)
		go func() {
			_, err := l.ask(ctx, question{kind: kindGet, digests: digests(blocks.Digest{1})}, arriving{}, nil)
			left <- err
		}()
		synctest.Wait() // until it has asked: an answer to no question ends the lane
		head := answerHead(0, 1, 2)
		for _, b := range [][]byte{head[:], {7}} {
			if _, err := in.Write(b); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		cancel()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("who left: %v", err)
		}
		l.fail(errs.E("test", errs.Closed, "", nil))
		go func() { _, _ = in.Write([]byte{8}); _ = in.Close() }()
		closed := make(chan error, 1)
		go func() { closed <- x.Close() }()
		select {
		case <-closed:
		case <-time.After(time.Minute):
			t.Fatal("it does not end")
		}
	})
}
