// Package sim plays random histories of a share on a few simulated devices, with the product's
// own code (namespace.Replica over a disk in memory), and checks the invariants of the design
// after every step and in the end.
//
// A history is a Script: a list of steps, each an operation of a user, a session between two
// devices, a crash, … It is drawn from two seeds, one for what people do (the workload) and one
// for what befalls them (the schedule), and then no longer depends on them: the clock, the ids
// drawn and everything else come from the steps themselves. So a script that failed can be
// shortened step by step (Shrink), printed, read, and kept as a case (testdata).
//
// What is right is said in two ways. Most invariants look at the replicas alone: all show the
// same, nobody sees two entries of one name. Whether work was lost is asked of the oracle,
// which knows nothing of the rules: only what the users did and saw, device by device.
package sim
