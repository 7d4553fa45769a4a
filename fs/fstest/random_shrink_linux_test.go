package fstest

import "slices"

// shrinkRuns bounds how often a program is run to make it shorter.
const shrinkRuns = 600

// shrink takes lines out of a program for as long as some difference shows, larger parts first. What
// depends on the moment may be lost on the way; then the last program that showed it is returned.
func (b *bench) shrink(lines []string, d *difference) ([]string, *difference) {
	lines = lines[:min(d.at+1, len(lines))]
	runs := 0
	for part := len(lines) / 2; part > 0; {
		shorter := false
		for at := 0; at < len(lines) && runs < shrinkRuns; {
			runs++
			less := slices.Delete(slices.Clone(lines), at, min(at+part, len(lines)))
			if got := b.run(less); got != nil {
				lines, d, shorter = less[:min(got.at+1, len(less))], got, true
			} else {
				at += part
			}
		}
		if !shorter || part > len(lines) {
			part /= 2
		}
	}
	return lines, d
}
