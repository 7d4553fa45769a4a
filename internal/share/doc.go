// Package share decides who belongs: the account with its devices, the share with its
// keys, and the way by which a new device comes in.
//
// An account and a share are each a log of signed, hash-linked entries (log.go). The
// AccountID and the ShareID are the hashes of their first entries, so nobody can supply
// a device or a key that those who hold the id would believe. Logs may fork when devices
// are apart; every replica with the same entries computes the same state (settle.go).
//
// Secrets of the share travel only as entries of its log, each wrapped for one device
// with a hybrid, post-quantum KEM (wrap.go). A recovery phrase of 24 words is the
// account's root: it signs the first entry, outranks every device, and can unwrap the
// share's secret (phrase.go).
//
// An invitation is a token that carries no key of the share (token.go). The two devices
// prove to each other that they know it (handshake.go, serve.go, join.go), a person at
// the old device approves the new one, and only then is it admitted and given its wrap.
//
// The package opens no connection and keeps no files: callers give it a wire.Stream and
// a *kv.DB.
package share
