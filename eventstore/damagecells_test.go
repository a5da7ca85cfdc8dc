package eventstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func (d *storedData) table(t *testing.T, title, from string, files []string, cell func(t *testing.T, title, from, file string, way int) string) {
	cells := make([][]string, len(files))
	var running sync.WaitGroup
	places := make(chan struct{}, 12)
	if d.heads["acme"].N > 1000 {
		places = make(chan struct{}, 3) // each loads all of it
	}
	for i, file := range files {
		cells[i] = make([]string, len(ways))
		for j := range ways {
			places <- struct{}{}
			running.Go(func() {
				defer func() { <-places }()
				cells[i][j] = cell(t, title, from, file, j)
			})
		}
	}
	running.Wait()
	out := title + "\n"
	for i, file := range files {
		out += fmt.Sprintf("%-40s", strings.TrimPrefix(file, streamsIn))
		for j, way := range ways {
			out += fmt.Sprintf(" | %s: %s", way.name, cells[i][j])
		}
		out += "\n"
	}
	t.Log(out)
}

func (d *storedData) cell(t *testing.T, title, from, file string, way int) string {
	parts := strings.Split(file, " + ")
	if _, missing := os.Stat(filepath.Join(from, parts[0])); errors.Is(missing, os.ErrNotExist) {
		return "not there"
	}
	dir := d.damagedCopy(t, from, parts, way)
	defer os.RemoveAll(dir)
	first, lost := d.look(t, dir, "")
	second := first
	if !lost && strings.Contains(file, ".blk") {
		second, lost = d.look(t, dir, "")
	}
	if lost {
		t.Errorf("%s: %s %s: at the start %s, at the next %s", title, file, ways[way].name, first, second)
	}
	if ways[way].name == "nothing" && len(parts) == 1 && first != "whole" {
		t.Errorf("%s: what is not damaged is %s", title, first)
	}
	if strings.Contains(first, "told: lost") && strings.Contains(file, "marks") {
		first += " (with a witness: " + d.withWitness(t, title, from, file, way) + ")"
	}
	if first != second {
		return first + ", then " + second
	}
	return first
}

// running damages a file while a service is at work on it. The service then looks at
// the files and is restarted.
func (d *storedData) running(t *testing.T, title, from, file string, way int) string {
	if _, missing := os.Stat(filepath.Join(from, file)); errors.Is(missing, os.ErrNotExist) {
		return "not there"
	}
	dir := d.damagedCopy(t, from, []string{file}, 0)
	defer os.RemoveAll(dir)
	s, err := openData(t, dir, "")
	if err != nil {
		t.Error(err)
		return err.Error()
	}
	if err := ways[way].do(filepath.Join(dir, file), filepath.Join(d.older, file)); err != nil {
		t.Error(err)
	}
	if err := s.checkFiles(t.Context(), 0); err != nil {
		t.Error(err)
	}
	first, lost := d.says(t, s)
	s.stop()
	second, later := d.look(t, dir, "")
	if lost || later {
		t.Errorf("%s: %s %s: while it runs %s, at the next start %s", title, file, ways[way].name, first, second)
	}
	if first != second {
		return first + ", then " + second
	}
	return first
}

// withWitness is for a loss after which nothing in the data directory knows better:
// the ledger is whole up to a commit that was its last one once, and the marks are gone.
func (d *storedData) withWitness(t *testing.T, title, from, file string, way int) string {
	dir := d.damagedCopy(t, from, strings.Split(file, " + "), way)
	defer os.RemoveAll(dir)
	witness := t.TempDir()
	if err := os.CopyFS(witness, os.DirFS(d.witness)); err != nil {
		t.Error(err)
	}
	told, lost := d.look(t, dir, witness)
	if lost {
		t.Errorf("%s: %s %s, with a witness: %s", title, file, ways[way].name, told)
	}
	return told
}

// damagedCopy copies a data directory, damages the first file and deletes the others.
func (d *storedData) damagedCopy(t *testing.T, from string, files []string, way int) string {
	dir := t.TempDir()
	err := copyData(dir, from)
	for _, file := range files[1:] {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, file)))
	}
	err = errors.Join(err, ways[way].do(filepath.Join(dir, files[0]), filepath.Join(d.older, files[0])))
	if err != nil {
		t.Error(err)
	}
	return dir
}
