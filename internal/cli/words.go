package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/shelffs/shelf/internal/config"
)

// size is n for people.
func size(n int64) string { return config.FormatSize(n) }

// count is "1 file", "1,234 files".
func count(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(n) + " " + many
}

func files(n int64) string  { return count(n, "file", "files") }
func blocks(n int64) string { return count(n, "block", "blocks") }

func thousands(n int64) string {
	if n < 0 {
		return "-" + thousands(-n)
	}
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// span is a length of time for people, in one unit.
func span(d time.Duration) string { return config.FormatSpan(d) }

// percent is done of total, never 100 before it is all, never 0 once it has begun.
func percent(done, total int64) string {
	switch {
	case done >= total:
		return "100%"
	case done <= 0:
		return "0%"
	}
	return fmt.Sprintf("%d%%", min(99, max(1, int(float64(done)/float64(total)*100))))
}

// list joins names: "a", "a and b", "a, b and c".
func list(names []string) string {
	switch n := len(names); n {
	case 0:
		return ""
	case 1:
		return names[0]
	default:
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
}

// sentence gives s a full stop if it has no end.
func sentence(s string) string {
	if s == "" || strings.ContainsRune(".!?:", rune(s[len(s)-1])) {
		return s
	}
	return s + "."
}

// quoteInner escapes a text for between two single quotes of a shell.
func quoteInner(s string) string { return strings.ReplaceAll(s, "'", `'\''`) }
