package share

import (
	"crypto/ed25519"
	"crypto/hpke"
	"crypto/rand"
	"fmt"
	"strings"

	"github.com/tyler-smith/go-bip39"

	"github.com/shelffs/shelf/internal/errs"
	"github.com/shelffs/shelf/internal/ident"
	"github.com/shelffs/shelf/internal/kdf"
)

// phraseWords is the length of a recovery phrase: 256 bits and a checksum (BIP-39, English).
const phraseWords = 24

// root is what a recovery phrase gives: the account's root key and its recovery KEM key.
type root struct {
	sign ed25519.PrivateKey
	kem  hpke.PrivateKey
}

func (r root) id() ident.DeviceID { return ident.DeviceIDOf(r.sign) }

// newPhrase makes a recovery phrase from 256 random bits.
func newPhrase() (string, root) {
	var entropy [32]byte
	rand.Read(entropy[:])
	phrase, err := bip39.NewMnemonic(entropy[:])
	if err != nil { // only for other lengths
		panic("share: " + err.Error())
	}
	return phrase, rootOf(entropy)
}

func rootOf(entropy [32]byte) root {
	sign := kdf.Derive(entropy[:], kdf.RootSign)
	seed := kdf.Derive(entropy[:], kdf.RootKEM)
	kem, err := hpke.MLKEM768X25519().NewPrivateKey(seed[:])
	if err != nil { // only for other lengths
		panic("share: " + err.Error())
	}
	return root{sign: ed25519.NewKeyFromSeed(sign[:]), kem: kem}
}

// parsePhrase reads a recovery phrase as a person types it: case, line breaks and runs of
// spaces do not matter. Invalid errors say what is wrong without repeating the phrase.
func parsePhrase(text string) (root, error) {
	bad := func(why string) (root, error) {
		return root{}, errs.E("share.parsePhrase", errs.Invalid, why, nil)
	}
	words := strings.Fields(strings.ToLower(text))
	if len(words) != phraseWords {
		return bad(fmt.Sprintf("the recovery phrase has %d words, these are %d", phraseWords, len(words)))
	}
	for i, w := range words {
		if _, ok := bip39.GetWordIndex(w); !ok {
			return bad(fmt.Sprintf("word %d is not a word of recovery phrases: look for a typing mistake", i+1))
		}
	}
	entropy, err := bip39.EntropyFromMnemonic(strings.Join(words, " "))
	if err != nil || len(entropy) != 32 {
		return bad("the words do not fit together: one is wrong, or two have changed places")
	}
	return rootOf([32]byte(entropy)), nil
}
