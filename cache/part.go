package cache

import (
	"context"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/internal/errs"
)

// GetPart reads a stretch of a block: the result is the block's header and, behind it, the stretch, in memory that into
// gives, which may be asked twice. Nothing of it is verified but that a record of this block lies there: who has the part's sum
// can. NotExist as for GetBlock, and Invalid when the stretch does not lie behind the header, or ends behind the block.
func (s *Store) GetPart(ctx context.Context, d blocks.Digest, p blocks.Span, into room) ([]byte, error) {
	const op = "cache.GetPart"
	if err := s.check(ctx, op); err != nil {
		return nil, err
	}
	var out []byte
	err := s.reading(d, func(r row) (err error) {
		if err = p.Check(int(r.size)); err == nil {
			out, err = s.readPart(d, r, p, into)
		}
		return err
	})
	if err != nil {
		return nil, errs.E(op, errs.Other, d.Short(), err)
	}
	s.heat.touch(d)
	return out, nil
}

func (s *Store) readPart(d blocks.Digest, r row, p blocks.Span, into room) ([]byte, error) {
	if r.form == formSmall {
		b, err := s.read(d, r, fresh, false)
		if err != nil {
			return nil, err
		}
		return b.AppendPart(into(blocks.HeadLen+int(p.Len)), p)
	}
	const head = recordHeader + blocks.HeadLen
	n := head + int(p.Len)
	buf := into(n)[:n]
	if err := s.readSegment(r, stretch{buf[:head], 0}, stretch{buf[head:], recordHeader + int64(p.Off)}); err != nil {
		return nil, err
	}
	if !isRecord(buf, d, r) {
		return nil, errs.E("cache", errs.Corrupt, "record", nil)
	}
	return buf[recordHeader:], nil
}
