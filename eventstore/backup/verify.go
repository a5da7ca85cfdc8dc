package backup

import (
	"context"
	"errors"
	"io"

	"gatehouse/domain"
	"gatehouse/eventstore/streams"
)

// Report is the result of a verification.
type Report struct {
	Heads    map[domain.ID]Head `json:"heads"`              // where the ledger of each org ends in the backup
	Messages map[string]int     `json:"messages"`           // by stream
	Size     int64              `json:"size"`               // of the objects of the backup, in bytes
	Complete bool               `json:"complete"`           // the last run finished, so that the vault has the key of every commit
	Flaws    []string           `json:"flaws,omitempty"`    // chains of activity that are broken
	Unlisted []Object           `json:"unlisted,omitempty"` // objects that are not part of the backup, left by killed writers
}

// Verify reads and checks the whole backup. Of the vault's copies it checks everything
// that does not need the master key. The error joins everything that is wrong, each by
// its name; the report covers the rest.
func (b *Backup) Verify(ctx context.Context) (*Report, error) {
	r := &Report{Heads: map[domain.ID]Head{}, Messages: map[string]int{}, Complete: b.manifest.Complete}
	listed := map[string]bool{manifestName: true, "lock": true}
	var errs []error
	for _, s := range b.manifest.Streams {
		for _, seg := range s.Segments {
			listed[seg.Name] = true
			r.Size += seg.Size
		}
		c, err := b.messages(ctx, s.Name, func(*Message) error { r.Messages[s.Name]++; return nil })
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if s.Name == streams.Ledger {
			r.Heads = c.heads
		}
		r.Flaws = append(r.Flaws, c.flaws...)
	}
	for _, v := range b.manifest.Vault {
		listed[v.Name] = true
		r.Size += v.Size
		errs = append(errs, b.vault(ctx, v, io.Discard))
	}
	if len(b.manifest.Vault) == 0 {
		errs = append(errs, b.Vault(ctx, io.Discard))
	}
	for _, old := range b.manifest.Replaced {
		listed[old.Name] = true
	}
	all, err := b.target.List(ctx, "")
	errs = append(errs, err)
	for _, o := range all {
		if !listed[o.Name] {
			r.Unlisted = append(r.Unlisted, o)
		}
	}
	return r, errors.Join(errs...)
}
