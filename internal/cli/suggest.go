package cli

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// unknown words a command that does not exist, with those that may have been meant.
func unknown(cmd *cobra.Command, name string) error {
	var names []string
	for _, c := range cmd.Commands() {
		if !c.Hidden {
			names = append(names, c.Name())
		}
	}
	hint := "see: " + cmd.CommandPath() + " --help"
	if near := suggest(name, names); len(near) > 0 {
		for i := range near {
			near[i] = cmd.CommandPath() + " " + near[i]
		}
		hint = "did you mean:  " + strings.Join(near, "  or  ")
	}
	return usage(hint, "there is no command %q", strings.TrimPrefix(cmd.CommandPath()+" "+name, cmd.Root().Name()+" "))
}

// suggest gives the known names that somebody may have meant by name: those that begin with it,
// else those that are the fewest letters away, as long as these are few.
func suggest(name string, known []string) (near []string) {
	least := 1 + len(name)/4
	for _, k := range known {
		if name != "" && strings.HasPrefix(k, name) {
			if least > 0 {
				near, least = nil, 0
			}
			near = append(near, k)
			continue
		}
		switch d := distance(name, k); {
		case d < least && d > 0:
			near, least = []string{k}, d
		case d == least && least > 0 && d < len(k):
			near = append(near, k)
		}
	}
	slices.Sort(near)
	return near
}

// distance counts the letters to add, drop, replace, or swap with the next, that make b of a.
func distance(a, b string) int {
	rows := [3][]int{make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)}
	for j := range rows[1] {
		rows[1][j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, now := rows[0], rows[1], rows[2]
		now[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			now[j] = min(last[j]+1, now[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				now[j] = min(now[j], before[j-2]+1)
			}
		}
		rows = [3][]int{last, now, before}
	}
	return rows[1][len(b)]
}
