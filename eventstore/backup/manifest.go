package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

const (
	manifestName = "manifest"
	// manifestMagic begins the first line of a manifest, before its format.
	manifestMagic = "gatehouse-backup"
	// maxManifest bounds a manifest in bytes: some 700,000 segments, 5 TB of messages.
	maxManifest = 256 << 20
)

// encode writes the manifest with its checksum.
func (m *Manifest) encode() ([]byte, error) {
	body, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("backup: write the manifest: %w", err)
	}
	sum := sha256.Sum256(body)
	return append(fmt.Appendf(nil, "%s %d sha256:%x\n", manifestMagic, Format, sum), body...), nil
}

// decodeManifest reads a manifest, and refuses names that lead out of the target.
func decodeManifest(b []byte) (*Manifest, error) {
	line, body, _ := bytes.Cut(b, []byte("\n"))
	var format int
	var sum []byte
	if n, err := fmt.Sscanf(string(line), manifestMagic+" %d sha256:%x", &format, &sum); n < 1 || format == Format && err != nil {
		return nil, fmt.Errorf("%w: object %s: its first line is none of a manifest", ErrDamaged, manifestName)
	}
	if format != Format {
		return nil, fmt.Errorf("backup: the manifest has format %d, this program reads format %d", format, Format)
	}
	if got := sha256.Sum256(body); !bytes.Equal(got[:], sum) {
		return nil, fmt.Errorf("%w: object %s: its checksum is wrong", ErrDamaged, manifestName)
	}
	m := &Manifest{}
	if err := json.Unmarshal(body, m); err != nil {
		return nil, fmt.Errorf("%w: object %s: %w", ErrDamaged, manifestName, err)
	}
	return m, m.check()
}

// check finds what no writer writes: a manifest has a checksum, but anybody can make one.
func (m *Manifest) check() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: object %s: %s", ErrDamaged, manifestName, fmt.Sprintf(format, args...))
	}
	names := map[string]bool{}
	name := func(dir, name string) error {
		if path.Dir(name) != dir || path.Clean(name) != name || names[name] {
			return bad("%q is no name of an object in %s", name, dir)
		}
		names[name] = true
		return nil
	}
	streams := map[string]bool{}
	for _, s := range m.Streams {
		if s.Name == "" || strings.ContainsAny(s.Name, "/.\\ ") || streams[s.Name] {
			return bad("%q is no name of a stream, or stands there twice", s.Name)
		}
		streams[s.Name] = true
		var last uint64
		for i, seg := range s.Segments {
			if err := name("segments/"+s.Name, seg.Name); err != nil {
				return err
			}
			if seg.First <= last || seg.Last < seg.First || seg.Messages < 1 || seg.Size < 1 || seg.Open && i != len(s.Segments)-1 {
				return bad("segment %s does not follow the one before", seg.Name)
			}
			last = seg.Last
		}
		if s.Last < last {
			return bad("stream %s ends at %d, and its segments at %d", s.Name, s.Last, last)
		}
	}
	for _, v := range m.Vault {
		if err := name("vault", v.Name); err != nil {
			return err
		}
	}
	return nil
}

// readManifest gives the manifest of a target, with the version by which it is replaced.
func readManifest(ctx context.Context, t Target) (*Manifest, Version, error) {
	r, version, err := t.Get(ctx, manifestName)
	if errors.Is(err, errAbsent) {
		return nil, "", fmt.Errorf("backup: %w: %s has no manifest", ErrNoBackup, t)
	}
	if err != nil {
		return nil, "", fmt.Errorf("backup: read the manifest of %s: %w", t, err)
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, maxManifest+1))
	if err != nil {
		return nil, "", fmt.Errorf("backup: read the manifest of %s: %w", t, err)
	}
	if len(b) > maxManifest {
		return nil, "", fmt.Errorf("backup: %w: object %s has more than %d bytes", ErrDamaged, manifestName, maxManifest)
	}
	m, err := decodeManifest(b)
	if err != nil {
		return nil, "", fmt.Errorf("backup: %s: %w", t, err)
	}
	return m, version, nil
}
