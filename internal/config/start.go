package config

import "time"

// Start is everything a daemon is told when it begins. The starting command writes it as
// JSON to the daemon's standard input, so that an invitation does not show in lists of
// processes.
type Start struct {
	Home    Home   `json:"home"`    // absolute; exists, 0700; its lock is held by this process
	Version string `json:"version"` // of the program, for Status

	// Create makes an account and this device when the home has none. Without it, and without
	// Token, a home that has none is controlapi.KindNoAccount.
	Create bool `json:"create"`
	// Token is an invitation by which this home, which has no account, joins one.
	Token string `json:"token"`
	// Name for the device that is made or joins: never empty then.
	Name string `json:"name"`

	// Mountpoint is absolute and clean; "" leaves the namespace unmounted. It is made when
	// missing; a stale mount there, and at Home.LastMounted, is mended.
	Mountpoint string `json:"mountpoint"`
	// Via is fuse, or webdav: the namespace is then served on this machine, and Mountpoint is "".
	Via string `json:"via"`
	// AllowOther lets other users of this system into the mount.
	AllowOther bool `json:"allow_other"`
	// CacheSize is the limit of the cache in bytes, never 0.
	CacheSize int64 `json:"cache_size"`
	// PinQuota is how many bytes of it pins may take; 0: all.
	PinQuota int64 `json:"pin_quota"`
	// Heat is how many bytes of it files may take that are kept here because they are used, here or on
	// another device of this network; 0: it is off.
	Heat int64 `json:"heat"`
	// NoBrake follows other devices however much they remove or overwrite at once.
	NoBrake bool `json:"no_brake"`
	// Names is exact, windows or mac: which names count as the same in the mount; "" as this
	// system has it.
	Names string `json:"names"`
	// OnConflict is a command of the shell that is told of new conflicts; "" for none.
	OnConflict string `json:"on_conflict"`
	// History is how long old states of files are kept; 0: 30 days, < 0: they are not.
	History time.Duration `json:"history_ns"`
	// Policies say what programs may bring here, before those of package hydration.
	Policies []Policy `json:"policies"`
	// Sweep is allow, exact or refuse: what becomes of a program without a policy that brings very
	// many files; "" as allow.
	Sweep string `json:"sweep"`
	// Background says when work that nobody waits for stands back.
	Background Background `json:"background"`
	// Limits bound the traffic between devices.
	Limits Limits `json:"limits"`
	// Listen are multiaddrs; empty lets the daemon choose once and keep its choice.
	Listen []string `json:"listen"`
}
