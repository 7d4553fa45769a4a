//go:build race

package fetch_test

// manyPins is less than without the race detector, which fails itself on more goroutines in a
// synctest bubble (golang/go#78156).
const manyPins = 2_000
