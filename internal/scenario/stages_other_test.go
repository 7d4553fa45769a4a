//go:build !linux

package scenario

func stages() map[string]stage { return map[string]stage{"memory": memoryStage} }
