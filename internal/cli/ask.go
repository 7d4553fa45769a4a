package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
)

// lines reads standard input line by line without holding up a command that is interrupted.
type lines struct {
	in   io.Reader
	ch   chan string // closed at the end of input
	want chan struct{}
}

func (a *app) newLines() *lines {
	l := &lines{in: a.Stdin, ch: make(chan string), want: make(chan struct{}, 1)}
	go func() {
		// It may stay behind in a Read when the command ends; the process ends then too.
		defer close(l.ch)
		sc := bufio.NewScanner(l.in)
		for range l.want {
			if !sc.Scan() {
				return
			}
			l.ch <- sc.Text()
		}
	}()
	return l
}

// next returns one line without its end, or false at the end of input. It fails with ctx.
func (l *lines) next(ctx context.Context) (string, bool, error) {
	select {
	case l.want <- struct{}{}:
	default: // an earlier wish, given up, is still open
	}
	select {
	case s, ok := <-l.ch:
		return strings.TrimSpace(s), ok, nil
	case <-ctx.Done():
		return "", false, ctx.Err()
	}
}

// yes asks a question whose default is no. The end of input is a no.
func (a *app) yes(ctx context.Context, l *lines, format string, args ...any) (bool, error) {
	for {
		if !a.json { // there the last line is the error, and nothing else is on it
			fmt.Fprintf(a.Stderr, format+" [y/N] ", args...)
		}
		s, ok, err := l.next(ctx)
		if err != nil || !ok {
			if !a.json {
				fmt.Fprintln(a.Stderr)
			}
			return false, err
		}
		switch strings.ToLower(s) {
		case "y", "yes":
			return true, nil
		case "", "n", "no":
			return false, nil
		}
	}
}
