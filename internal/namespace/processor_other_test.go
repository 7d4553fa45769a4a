//go:build !unix

package namespace

import "time"

// processor is by the clock where the system is not asked.
func processor() time.Duration { return time.Duration(time.Now().UnixNano()) }
