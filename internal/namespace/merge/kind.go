package merge

// Kind is what a node is. The numbers are part of the record format.
type Kind uint8

const (
	File     Kind = 1
	Dir      Kind = 2
	Symlink  Kind = 3
	Fifo     Kind = 4
	Socket   Kind = 5
	CharDev  Kind = 6
	BlockDev Kind = 7
	Link     Kind = 8 // another name of a File; shown as that file, never as itself
)

// Stamp orders concurrent writes: 48 bits of milliseconds since 1970, then a 16-bit counter.
type Stamp uint64
