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
// A share has two to six devices, sometimes one without keys (blind.go). Besides what any network
// and any machine does, a disk may be put back from an image (events.go) or copied, so that two
// machines call themselves one device for a while (clone.go), members join and leave, of whom each
// device hears in its own time (members.go), and some who were members sign nonsense (lies.go).
//
// What is right is said in two ways. Most invariants look at the replicas alone: all show the
// same, nobody sees two entries of one name. Whether work was lost is asked of the oracle,
// which knows nothing of the rules: only what the users did and saw, device by device. With a
// disk that is put back only that may be lost which nobody else can have (fate.go).
//
//	make sim                                       until stopped
//	make sim N=15000 ARGS='-seed 1'                these schedules, the same each time
//	make sim N=100000 ARGS='-seed 200001 -tally F' a piece of a million: F adds them up
//	make sim N=5000 ARGS=-narrow                   short ones, around one conflict and disks put back
//	make sim N=5000 ARGS=-forks                    around a log of which there are two, and whose device may leave
//	make sim-mutants                               each rule switched off is noticed: by what, how soon
//	make sim-mutants ARGS='-oracle -only N14'      the same over two real mounts (internal/scenario)
package sim
