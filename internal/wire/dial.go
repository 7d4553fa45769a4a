package wire

import "context"

type noDial struct{}

// WithoutDial makes a context in which Open does not wait for a connection: it answers Offline where
// there is none.
func WithoutDial(ctx context.Context) context.Context {
	return context.WithValue(ctx, noDial{}, true)
}

// Dials reports whether Open may wait for a connection.
func Dials(ctx context.Context) bool { return ctx.Value(noDial{}) == nil }
