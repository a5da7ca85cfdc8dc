package natsserver

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"gatehouse/durable"
	"gatehouse/eventstore/mark"
)

// manifestFile says, in the data directory, how the files of the streams were when the
// server ended in good order; after a start, that it has not ended since.
const manifestFile = "blocks"

// manifest is what the manifest says.
type manifest struct {
	Clean   bool                      `json:"clean"`             // the server ended in good order, and was not started since
	Streams map[string]mark.StreamEnd `json:"streams,omitempty"` // by name
	Files   map[string]fileAs         `json:"files,omitempty"`   // blocks and indexes, by path below the data directory
}

// fileAs is how a file was. A bit that the disk lost leaves all of that as it is, so
// that a file which is as it was is still read, only not before the start: see checkFiles.
type fileAs struct {
	Size     int64  `json:"size"`
	Modified int64  `json:"modified"` // in Unix nanoseconds
	Inode    uint64 `json:"inode"`
}

func asOf(info fs.FileInfo) fileAs {
	as := fileAs{Size: info.Size(), Modified: info.ModTime().UnixNano()}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		as.Inode = stat.Ino
	}
	return as
}

// readManifest reads the manifest of a data directory. One that is missing or damaged says
// nothing.
func readManifest(dir string) (m manifest) {
	content, err := os.ReadFile(filepath.Join(dir, manifestFile))
	if err != nil {
		return m
	}
	sum, text, _ := bytes.Cut(content, []byte("\n"))
	if want := sha256.Sum256(text); string(sum) != hex.EncodeToString(want[:]) || json.Unmarshal(text, &m) != nil {
		return manifest{}
	}
	return m
}

func (m manifest) write(dir string) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(text)
	return durable.Replace(filepath.Join(dir, manifestFile), append([]byte(hex.EncodeToString(sum[:])+"\n"), text...))
}

// filesAs returns how the blocks and indexes of the streams are.
func filesAs(dir string) (map[string]fileAs, error) {
	out := map[string]fileAs{}
	for _, kind := range []string{"*.blk", "index.db"} {
		found, err := filepath.Glob(filepath.Join(dir, "jetstream", "jetstream", "*", "streams", "*", "msgs", kind))
		if err != nil {
			return nil, err
		}
		for _, path := range found {
			info, err := os.Stat(path)
			if err != nil {
				return nil, err
			}
			name, err := filepath.Rel(dir, path)
			if err != nil {
				return nil, err
			}
			out[name] = asOf(info)
		}
	}
	return out, nil
}

// unchanged returns the folders of messages whose files are all as the manifest of a
// good end says. The server opens such a stream by its index and reads no block, so
// that none of them is cut by the start.
func (m manifest) unchanged(dir string) (map[string]bool, error) {
	if !m.Clean {
		return nil, nil
	}
	now, err := filesAs(dir)
	if err != nil {
		return nil, fmt.Errorf("natsserver: look at the files of the streams: %w", err)
	}
	out, indexed := map[string]bool{}, map[string]bool{}
	for name := range now {
		out[filepath.Join(dir, filepath.Dir(name))] = true
		indexed[filepath.Join(dir, filepath.Dir(name))] = indexed[filepath.Join(dir, filepath.Dir(name))] || filepath.Base(name) == "index.db"
	}
	for name, as := range now {
		if was, known := m.Files[name]; !known || was != as {
			delete(out, filepath.Join(dir, filepath.Dir(name)))
		}
	}
	for name := range m.Files {
		if _, there := now[name]; !there {
			delete(out, filepath.Join(dir, filepath.Dir(name)))
		}
	}
	for folder := range out {
		if !indexed[folder] {
			delete(out, folder)
		}
	}
	return out, nil
}

// begun notes that the server runs, so that an end which is none is known as such. A
// disk that is full takes no note, but lets the one of the last end be removed.
func (e *Embedded) begun() error {
	if err := (manifest{}).write(e.cfg.Dir); err == nil {
		return nil
	}
	if err := os.Remove(filepath.Join(e.cfg.Dir, manifestFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("natsserver: note the start: %w", err)
	}
	return nil
}

// ended notes how the server ended. Without that the next start reads every block.
func (e *Embedded) ended(ends map[string]mark.StreamEnd) {
	files, err := filesAs(e.cfg.Dir)
	if err == nil {
		err = manifest{Clean: true, Streams: ends, Files: files}.write(e.cfg.Dir)
	}
	if err != nil {
		e.cfg.Log.Warn("how the server ended is not noted; the next start reads every block", "error", err)
	}
}
