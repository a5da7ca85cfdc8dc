package backup

import (
	"context"
	"errors"
	"io"

	"gatehouse/domain"
	"gatehouse/eventstore"
)

// Report is what a verification found.
type Report struct {
	Heads    map[domain.ID]Head // where the ledger of each org ends in the backup
	Messages map[string]int     // by stream
	Size     int64              // of the objects that the backup consists of, in bytes
	Flaws    []string           // chains of activity that are broken
	Unlisted []Object           // objects that are no part of it: a writer was killed, or they are to be deleted
}

// Verify reads the whole backup and checks all there is to check, the vault's copies but for what the master key alone
// opens. What is wrong is joined in the error, each by its name; the report tells of the rest.
func (b *Backup) Verify(ctx context.Context) (*Report, error) {
	r := &Report{Heads: map[domain.ID]Head{}, Messages: map[string]int{}}
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
		if s.Name == eventstore.StreamLedger {
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
	all, err := b.target.List(ctx, "")
	errs = append(errs, err)
	for _, o := range all {
		if !listed[o.Name] {
			r.Unlisted = append(r.Unlisted, o)
		}
	}
	return r, errors.Join(errs...)
}
