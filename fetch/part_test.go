package fetch_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/fetch"
	"github.com/shelffs/shelf/internal/errs"
)

// partOf asks for bytes [100, 900) of the scene's block i, and opens them by comparing.
func (s *scene) partOf(ctx context.Context, i int) ([]byte, error) {
	d, p := s.blocks[i], blocks.Span{Off: 100, Len: 800}
	want, err := s.sources[0].m[d].AppendPart(nil, p)
	if err != nil {
		return nil, err
	}
	return s.GetPart(ctx, d, p, func(sent []byte) ([]byte, error) {
		if !bytes.Equal(sent, want) {
			return nil, errs.E("test", errs.Corrupt, "", nil)
		}
		return append([]byte("opened "), sent[blocks.HeadLen:]...), nil
	})
}

func (s *scene) wantPart(t *testing.T, i int) {
	t.Helper()
	got, err := s.partOf(t.Context(), i)
	if want := "opened " + string(s.sources[0].m[s.blocks[i]].Bytes[100:900]); err != nil || string(got) != want {
		t.Errorf("part of block %d: %d bytes, %v", i, len(got), err)
	}
}

// A part comes from the nearest device, or from the cache, and the block is neither here nor on its way afterwards.
func TestPartsComeAlone(t *testing.T) {
	play(t, 2, 3, 1000, nil, func(t *testing.T, s *scene) {
		s.wantPart(t, 0)
		if asked, _ := s.sources[0].count(); asked != 1 || s.sources[0].asked[0].Part.Len != 800 {
			t.Errorf("the nearest device was asked %d times", asked)
		}
		if here, coming := s.Find(s.blocks[0]); here || coming {
			t.Errorf("the block is here: %v, or coming: %v", here, coming)
		}
		if _, err := s.GetBlock(t.Context(), s.blocks[1]); err != nil {
			t.Fatal(err)
		}
		before, _ := s.sources[0].count()
		s.wantPart(t, 1)
		if asked, _ := s.sources[0].count(); asked != before {
			t.Error("a device was asked for what is in the cache")
		}
		s.Ahead(s.blocks[2]) // now it is in memory, too
		time.Sleep(time.Second)
		before, _ = s.sources[0].count()
		s.wantPart(t, 2)
		if asked, _ := s.sources[0].count(); asked != before {
			t.Error("a device was asked for what was read ahead")
		}
	})
}

// What does not open is asked of another device, and the first one is known for it.
func TestPartsAreVerified(t *testing.T) {
	play(t, 2, 2, 1000, nil, func(t *testing.T, s *scene) {
		s.sources[0].lie = true
		s.wantPart(t, 0)
		if len(s.reports) != 1 || s.reports[0].Digest != s.blocks[0] || !errs.Is(s.reports[0].Err, errs.Corrupt) {
			t.Errorf("reports: %+v", s.reports)
		}
		s.sources[1].lie = true
		if _, err := s.partOf(t.Context(), 1); !errs.Is(err, errs.Corrupt) {
			t.Errorf("of two liars: %v", err)
		}
	})
}

// A reader who leaves takes the flight with him; while it is under way, it can be told what it waits for.
func TestPartsAreGivenUp(t *testing.T) {
	play(t, 1, 2, 1000, nil, func(t *testing.T, s *scene) {
		s.sources[0].hang = true
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		time.AfterFunc(time.Second/2, func() {
			if why := s.Why(s.blocks[0]); !strings.Contains(why, "asking") {
				t.Errorf("why: %q", why)
			}
		})
		if _, err := s.partOf(ctx, 0); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("given up: %v", err)
		}
		if why := s.Why(s.blocks[0]); why != "" {
			t.Errorf("afterwards: %q", why)
		}
		go func() { time.Sleep(time.Second); _ = s.Close() }()
		if _, err := s.partOf(t.Context(), 1); !errs.Is(err, errs.Closed) {
			t.Errorf("closed meanwhile: %v", err)
		}
		if _, err := s.partOf(t.Context(), 1); !errs.Is(err, errs.Closed) {
			t.Errorf("closed before: %v", err)
		}
	})
}

// The rest of a block is brought behind everything else.
func TestRestComesLast(t *testing.T) {
	play(t, 1, 2, 1000, nil, func(t *testing.T, s *scene) {
		s.Rest(s.blocks[0])
		time.Sleep(time.Second)
		if here, _ := s.Find(s.blocks[0]); !here || s.sources[0].asked[0].Priority != fetch.Background {
			t.Errorf("the rest is here: %v", here)
		}
		s.sources[0].hang = true
		cancel := s.Rest(s.blocks[1])
		time.Sleep(time.Second / 10)
		cancel()
		time.Sleep(3 * time.Second)
		if _, coming := s.Find(s.blocks[1]); coming {
			t.Error("what was withdrawn is still on its way")
		}
	})
}
