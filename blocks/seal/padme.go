package seal

import "math/bits"

// Padme returns the bucket of a length: the smallest allowed padded length that holds n
// bytes. Lengths have no more significant bits than their exponent needs to be written, so
// a length gives away O(log log n) bits, and padding costs at most 12 % (less for longer
// ones). Source: Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and
// Communication with PURBs", PETS 2019.
func Padme(n uint64) uint64 {
	if n < 2 {
		return n
	}
	e := bits.Len64(n) - 1             // floor(log2 n)
	s := bits.Len64(uint64(e))         // bits of e
	mask := uint64(1)<<max(e-s, 0) - 1 // low bits that must be zero
	return (n + mask) &^ mask
}
