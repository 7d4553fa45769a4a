// Package scenario holds scripts with several devices. Those in process_*_test.go start real
// daemons of the built program, with real mounts, that talk over real sockets; they use nothing
// but the documented command line. Those in memory_*_test.go put the same parts together in one
// process over an in-memory network.
package scenario
