package placement

import "github.com/shelffs/shelf/internal/namespace"

// Cloud says that a folder's future files need not come here either, when a pinned folder above
// would bring them.
func (e *Engine) Cloud(n namespace.NodeID) error {
	if err := e.setUnlessInherited(n, namespace.Cloud); err != nil {
		return err
	}
	e.pins.placementChanged(n)
	return nil
}
