package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/shelffs/shelf/internal/config"
	"github.com/shelffs/shelf/internal/control/controlapi"
)

// app is one run of the command line.
type app struct {
	Deps
	homeFlag string
	json     bool
	home     config.Home // set before a command runs
}

// Main runs the command line with the arguments after the program's name and returns the
// exit code.
func Main(deps Deps, args []string) int {
	a := &app{Deps: deps.withDefaults()}
	ctx, caught, stop := withSignals()
	defer stop()
	root := a.root()
	root.SetArgs(args)
	root.SetIn(a.Stdin)
	root.SetOut(a.Stdout)
	root.SetErr(a.Stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return ExitOK
	}
	// The flags were not parsed when that is what failed.
	a.json = a.json || contains(args, "--json")
	return a.report(err, caught())
}

func contains(args []string, flag string) bool {
	for _, s := range args {
		if s == "--" {
			return false
		}
		if s == flag {
			return true
		}
	}
	return false
}

// withSignals gives a context that ends with the first SIGINT, SIGTERM or SIGHUP (the terminal
// has gone, and nohup was not asked for); the second one kills as usual. caught tells which
// it was.
func withSignals() (ctx context.Context, caught func() os.Signal, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	c := make(chan os.Signal, 1)
	signal.Notify(c, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(c, syscall.SIGHUP)
	}
	var sig atomic.Value
	go func() {
		select {
		case s := <-c:
			sig.Store(s)
			signal.Stop(c)
			cancel()
		case <-ctx.Done():
		}
	}()
	caught = func() os.Signal { s, _ := sig.Load().(os.Signal); return s }
	return ctx, caught, func() { signal.Stop(c); cancel() }
}

// quiet wraps an error that a person has been told already; only its exit code is left to give.
type quiet struct{ error }

func (q quiet) Unwrap() error { return q.error }

// report prints an error and gives its exit code.
func (a *app) report(err error, sig os.Signal) int {
	e := controlapi.FromError(err)
	code := exitCode(e.Kind)
	if e.Kind == "interrupted" && (sig == syscall.SIGTERM || sig == syscall.SIGHUP) {
		code = ExitTerminated
	}
	var q quiet
	switch {
	case a.json:
		_ = writeJSON(a.Stderr, controlapi.Failure{Error: e})
	case errors.As(err, &q):
	case e.Kind == "interrupted" && e.Message == context.Canceled.Error():
		// The person knows.
	default:
		a.complain(e)
	}
	return code
}

// complain prints an error for a person.
func (a *app) complain(e *controlapi.Error) {
	var b strings.Builder
	b.WriteString("shelf: " + safeText(e.Message) + "\n")
	for line := range strings.Lines(e.Hint) {
		b.WriteString("  " + safe(strings.TrimRight(line, "\n")) + "\n")
	}
	_, _ = io.WriteString(a.Stderr, b.String())
}

func usage(hint, format string, args ...any) error {
	return controlapi.E(controlapi.KindUsage, hint, format, args...)
}

// noArgs, exactArgs and so on word mistakes as usage errors.
func argCount(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return usage("see: "+cmd.CommandPath()+" --help", "%s needs %s", cmd.CommandPath(), what)
		case most >= 0 && len(args) > most:
			return usage("see: "+cmd.CommandPath()+" --help", "%s: too many arguments, from %q on", cmd.CommandPath(), args[most])
		}
		return nil
	}
}
