//go:build !race

package fetch_test

const manyPins = 10_000
