package namespace

// Page makes the frames that follow hold at most n records each, from 1 to MaxRecords: for a
// link that breaks often, and for simulations of one.
func (d *Delta) Page(n int) { d.page = min(max(n, 1), MaxRecords) }
