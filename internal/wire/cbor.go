package wire

import (
	"github.com/fxamacker/cbor/v2"

	"github.com/shelffs/shelf/internal/errs"
)

// The profile: core deterministic encoding (RFC 8949 §4.2.1), and decoding that refuses
// everything another encoder could have written differently: duplicate keys, indefinite
// lengths, unknown fields, tags, text that is not UTF-8. Depth and counts are bounded.
var (
	encMode = must(cbor.EncOptions{
		Sort:          cbor.SortCoreDeterministic,
		IndefLength:   cbor.IndefLengthForbidden,
		NilContainers: cbor.NilContainerAsEmpty,
		TagsMd:        cbor.TagsForbidden,
	}.EncMode())
	decMode = must(cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		UTF8:              cbor.UTF8RejectInvalid,
		MaxNestedLevels:   8,
		MaxArrayElements:  1 << 16,
		MaxMapPairs:       1 << 12,
	}.DecMode())
)

func must[T any](mode T, err error) T {
	if err != nil { // options are constants
		panic("wire: " + err.Error())
	}
	return mode
}

// Marshal encodes v deterministically. It panics only for types that cannot be encoded,
// which is a mistake in the program.
func Marshal(v any) []byte {
	b, err := encMode.Marshal(v)
	if err != nil {
		panic("wire: " + err.Error())
	}
	return b
}

// Unmarshal decodes exactly one value that fills b. Any deviation is errs.Protocol.
func Unmarshal(b []byte, v any) error {
	if err := decMode.Unmarshal(b, v); err != nil {
		return errs.E("wire.Unmarshal", errs.Protocol, "", err)
	}
	return nil
}
