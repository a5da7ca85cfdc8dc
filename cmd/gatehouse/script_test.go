package main

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"gatehouse": main})
}

// TestScripts runs the scripts. They start the service as its own process, and drive it
// by the command line as people and programs do.
func TestScripts(t *testing.T) {
	alongside(t)
	testscript.Run(t, scripts(testscript.Params{Dir: "testdata/script"}))
}

// scripts gives scripts a place and commands of their own.
func scripts(p testscript.Params) testscript.Params {
	p.Setup = func(e *testscript.Env) error {
		e.Setenv("GATEHOUSE_DATA", e.WorkDir+"/data")
		e.Setenv("GATEHOUSE_LISTEN", "127.0.0.1:0")
		e.Setenv("GATEHOUSE_URL_FILE", e.WorkDir+"/url")
		e.Setenv("HOME", e.WorkDir)
		return nil
	}
	p.Cmds = map[string]func(*testscript.TestScript, bool, []string){"up": cmdUp, "keep": cmdKeep, "exits": cmdExits}
	p.RequireExplicitExec, p.RequireUniqueNames = true, true
	return p
}

// cmdUp waits until a service that was just started listens, and lets verbs speak
// to it: up.
func cmdUp(ts *testscript.TestScript, _ bool, _ []string) {
	path := ts.Getenv("GATEHOUSE_URL_FILE")
	for range patience / (50 * time.Millisecond) {
		if url, err := os.ReadFile(path); err == nil {
			ts.Setenv("GATEHOUSE_URL", strings.TrimSpace(string(url)))
			ts.Check(os.Remove(path))
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	ts.Fatalf("the service does not listen")
}

// cmdKeep keeps what was last written to stdout: keep NAME.
func cmdKeep(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
}

// cmdExits runs a program that is to end with an exit code: exits CODE PROGRAM
// [ARGS].
func cmdExits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}
