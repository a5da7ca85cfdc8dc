package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	"gatehouse/cmd/gatehouse/bulk"
)

// printJSON writes a JSON value as it came: indented for people, on one line for
// scripts.
func (w *world) printJSON(value []byte, oneLine bool) error {
	var out bytes.Buffer
	var err error
	if oneLine {
		err = json.Compact(&out, value)
	} else {
		err = json.Indent(&out, bytes.TrimSpace(value), "", "  ")
	}
	if err != nil {
		return fmt.Errorf("the answer is no JSON: %w", err)
	}
	out.WriteByte('\n')
	_, err = w.stdout.Write(out.Bytes())
	return err
}

// print writes a value as JSON.
func (w *world) print(value any, oneLine bool) error {
	b, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return w.printJSON(b, oneLine)
}

// say tells something to the person at the terminal; it is no part of the output.
func (w *world) say(format string, args ...any) { fmt.Fprintf(w.stderr, format+"\n", args...) }

// teller tells on stderr how far something is; progress to a person alone.
func (w *world) teller() bulk.Teller {
	return bulk.Teller{To: w.stderr, Live: onTerminal(w.stderr), Now: w.now}
}

// onTerminal reports whether a stream is a terminal. Somebody may then read at once
// what is written to it, or type what is read from it.
func onTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
