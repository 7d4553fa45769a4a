package fs

import (
	"testing"

	"github.com/shelffs/shelf/blocks"
	"github.com/shelffs/shelf/blocks/content"
	"github.com/shelffs/shelf/internal/namespace"
)

func TestTreesKeepWhatWasReadLast(t *testing.T) {
	var kept trees
	one := blocks.Content{Depth: 1, Size: 1}
	made := make([]sourced, maxTrees+1)
	for i := range made {
		made[i] = sourced{Tree: new(content.Tree)}
		kept.keep(namespace.NodeID{byte(i)}, one, made[i])
		if kept.find(namespace.NodeID{0}, one) != made[0] { // used all the time
			t.Fatal("what is used went")
		}
	}
	if kept.find(namespace.NodeID{1}, one).Tree != nil {
		t.Error("what was not used stays")
	}
	two := blocks.Content{Depth: 1, Size: 2}
	kept.keep(namespace.NodeID{0}, two, made[1])
	if kept.find(namespace.NodeID{0}, one).Tree != nil || kept.find(namespace.NodeID{0}, two) != made[1] {
		t.Error("an older content stays")
	}
	kept.keep(namespace.NodeID{99}, blocks.Content{Size: 1}, made[0])
	if kept.find(namespace.NodeID{99}, blocks.Content{Size: 1}).Tree != nil {
		t.Error("a file without manifests is kept")
	}
}
