// Package heat knows which files a person uses on this device and on the others of this network, and
// has their newest content here before they are opened.
//
// The heat of a file is a count of its uses of which half is forgotten in a week (value.go); a folder's is
// the sum of its files' (the same half-life for all makes heat additive, so that nothing has to be kept for
// folders and a file that moves takes its heat along). What counts as a use is decided before: package fs
// tells of it, package hydration leaves out what is not a person's.
//
// A file that is hot here, and automatic, is kept: what other devices make of it is brought here in the
// background (engine.go), as cache and nothing more: it may be evicted like anything that was read, and is
// then not brought again until it changes. A pin, or the wish that a file stay away, is
// never touched.
//
// Hand-off: devices of one network tell each other what was used on them lately (tell.go, message.go), and bring
// that too, from each other only: never over the internet. Who walks from one to the next
// finds the work there.
//
// What all this may take is a budget of the cache (plan.go). Nothing here waits for the network but the
// one worker that brings, and the one that tells.
package heat
