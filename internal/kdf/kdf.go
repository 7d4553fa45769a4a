// Package kdf holds every key-derivation label of Shelf in one place, so that two
// uses of one key can never meet. Source: HKDF, RFC 5869 (expand step only: every
// input key here is already uniformly random).
package kdf

import (
	"crypto/hkdf"
	"crypto/sha256"
)

// Label names what a derived key is for. All labels begin with "shelf1/", are unique,
// and none is a prefix of another (tested).
type Label string

const (
	// From a share's write secret WS_e and read key RK_e; ctx = ShareID || u32be(epoch).
	ShareRead  Label = "shelf1/share/read"       // WS_e → RK_e
	ShareBlind Label = "shelf1/share/blind"      // RK_e → BK_e: hello proofs, rendezvous topics
	ShareHello Label = "shelf1/share/hello"      // BK_e, transcript → proof that its sender is in the share
	BlockSIV   Label = "shelf1/block/siv"        // RK_e → K_siv
	BlockEnc   Label = "shelf1/block/enc"        // RK_e → K_enc
	BlockKey   Label = "shelf1/block/key"        // K_enc, siv → the key of one block
	RecordSIV  Label = "shelf1/record/siv"       // RK_e → K_meta, synthetic iv
	RecordEnc  Label = "shelf1/record/enc"       // RK_e → K_meta, encryption
	RecordKey  Label = "shelf1/record/key"       // record enc key, siv → the key of one record
	RecordReg  Label = "shelf1/record/reg"       // RK_e → PRF of register keys
	Chunker    Label = "shelf1/chunker"          // RK_e → gear table of the chunker
	PrevEpoch  Label = "shelf1/share/prev"       // RK_e → seals RK_{e-1}
	ShareWrap  Label = "shelf1/share/wrap"       // HPKE info of WS_e wrapped for one recipient
	EpochCheck Label = "shelf1/share/commitment" // WS_e → public commitment in the log

	// From the recovery phrase's seed.
	RootSign Label = "shelf1/root/sign"
	RootKEM  Label = "shelf1/root/kem"

	// From the account secret of an epoch.
	AccountKEM     Label = "shelf1/account/kem"
	AccountKeyring Label = "shelf1/account/keyring"

	// From the device's local master key.
	RowPRF   Label = "shelf1/local/row-key"
	RowSIV   Label = "shelf1/local/row-siv"
	RowEnc   Label = "shelf1/local/row-enc"
	CacheDB  Label = "shelf1/local/cache"
	MetaDB   Label = "shelf1/local/meta"
	LocalEnv Label = "shelf1/local/check" // proves that a master key is the right one

	// From an invitation token.
	InviteID   Label = "shelf1/invite/id"
	InviteAsk  Label = "shelf1/invite/ask"
	InviteGive Label = "shelf1/invite/give"
	InviteCode Label = "shelf1/invite/code"
)

// Labels lists all of them, for the test and for reviewers.
var Labels = []Label{
	ShareRead, ShareBlind, ShareHello, BlockSIV, BlockEnc, BlockKey, RecordSIV, RecordEnc, RecordKey, RecordReg, Chunker,
	PrevEpoch, ShareWrap, EpochCheck, RootSign, RootKEM, AccountKEM, AccountKeyring, RowPRF, RowSIV, RowEnc, CacheDB, MetaDB, LocalEnv,
	InviteID, InviteAsk, InviteGive, InviteCode,
}

// Derive returns HKDF-Expand(SHA-256, key, label || 0x00 || ctx, 32).
// key must be 32 uniformly random bytes.
func Derive(key []byte, label Label, ctx ...[]byte) [32]byte {
	info := append([]byte(label), 0)
	for _, c := range ctx {
		info = append(info, c...)
	}
	out, err := hkdf.Expand(sha256.New, key, string(info), 32)
	if err != nil { // only for lengths over 255 hashes or keys refused in FIPS mode
		panic("kdf: " + err.Error())
	}
	return [32]byte(out)
}
