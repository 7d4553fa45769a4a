// Package scenario holds scripts with several devices. Those in process_*_test.go start real
// daemons of the built program, with real mounts, that talk over real sockets; they use nothing
// but the documented command line. Those in memory_*_test.go put the same parts together in one
// process over an in-memory network.
//
// The plays in testdata/plays are scripts of conflicts, which are performed on three stages: by bare
// replicas that are compared with the pure view (TestPlaysOfTheModel), over the network in memory, and by
// real programs with real mounts (TestPlays). Type piece says how they are written; -plays EXPRESSION
// performs some of them only.
package scenario
