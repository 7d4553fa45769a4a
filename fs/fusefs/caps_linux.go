package fusefs

import "github.com/hanwen/go-fuse/v2/fuse"

// capabilities asked for beside the library's: the kernel passes O_TRUNC with open, and
// leaves it to us to drop set-id bits, so that it need not ask for security.capability
// before every write.
const capabilities = fuse.CAP_ATOMIC_O_TRUNC | fuse.CAP_HANDLE_KILLPRIV_V2
