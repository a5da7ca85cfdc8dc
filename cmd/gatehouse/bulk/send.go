package bulk

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"

	"gatehouse/cmd/gatehouse/client"
	"gatehouse/gateways/httpapi"
	"gatehouse/gateways/tables"
)

// send sends the list. Refused entries are reported by their lines; when bad lines are
// skipped, the rest is sent without them.
func (i *importer) send() error {
	defer func() { i.list, i.size = i.list[:0], 0 }()
	for len(i.list) > 0 {
		refused, err := i.sendOnce()
		if err != nil || refused == nil {
			return err
		}
		if err := i.passOver(refused); err != nil {
			return err
		}
		if len(refused) == 0 {
			continue
		}
		if err := i.drop(refused); err != nil {
			return err
		}
		if !i.opt.passes() && !i.opt.DryRun {
			return refusedf("%d lines are refused; the lists before are committed, nothing of this one is; mend them, or give --skip-bad", len(refused))
		}
	}
	return nil
}

// sendOnce sends the list and returns the refused entries. None means that the list is
// done.
func (i *importer) sendOnce() (map[int]httpapi.Entry, error) {
	var list []json.RawMessage
	for _, line := range i.list {
		list = append(list, line.fields)
	}
	body, err := json.Marshal(list)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	options := url.Values{}
	if i.opt.DryRun {
		options.Set("dry_run", "true")
		options.Set("rehearsal", i.rehearsal)
	}
	answer, err := i.remote.Command(i.ctx, i.kind.Command, body, "import-"+hex.EncodeToString(sum[:]), options)
	if problem, ok := errors.AsType[*client.AnswerError](err); ok && problem.Refused() {
		if refused := refusedEntries(problem, len(i.list)); refused != nil {
			return refused, nil
		}
	}
	if err != nil {
		return nil, goesOn(err)
	}
	var done struct {
		Position string `json:"position"`
		Repeated bool   `json:"repeated"`
	}
	if err := json.Unmarshal(answer, &done); err != nil {
		return nil, err
	}
	i.report.Accepted += len(i.list)
	i.report.Position = done.Position
	switch {
	case done.Repeated:
		i.report.Repeated++
	case !i.opt.DryRun:
		i.report.Commits++
	}
	if now := i.teller.Now(); now.Sub(i.told) >= time.Second {
		i.told = now
		i.teller.progress("%d lines, %d accepted, at %s", i.report.Lines, i.report.Accepted, done.Position)
	}
	return nil, nil
}

// goesOn says of an import for which the service has no time what to do then.
func goesOn(err error) error {
	problem, answered := errors.AsType[*client.AnswerError](err)
	_, unreachable := errors.AsType[*client.UnreachableError](err)
	if !unreachable && !errors.Is(err, context.DeadlineExceeded) && !(answered && problem.Unavailable()) {
		return err
	}
	if answered {
		problem.Key = "" // which is no flag of import
	}
	return fmt.Errorf("%w; start the import again in the same words, and it goes on", err)
}

// refusedEntries are the refused entries of a list; nil when the refusal is about
// the list as a whole.
func refusedEntries(p *client.AnswerError, entries int) map[int]httpapi.Entry {
	out := map[int]httpapi.Entry{}
	for _, e := range p.Entries {
		out[e.Index] = e
	}
	if len(out) == 0 && entries == 1 {
		out[0] = httpapi.Entry{Code: p.Code, Detail: p.Detail, IDs: p.IDs}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// drop takes refused entries out of the list and tells their lines.
func (i *importer) drop(refused map[int]httpapi.Entry) error {
	for _, n := range slices.Sorted(maps.Keys(refused)) {
		e, from := refused[n], i.list[n]
		reason := e.Code + ": " + e.Detail
		i.bad.add(&tables.BadLine{Line: from.line, Reason: reason})
		i.report.refuse(e.Code, from.line)
		if err := i.reject(from.text, reason); err != nil {
			return err
		}
	}
	i.keep(func(n int) bool { _, is := refused[n]; return !is })
	return nil
}

// keep keeps some entries of the list.
func (i *importer) keep(is func(n int) bool) {
	var list []importLine
	for n, line := range i.list {
		if is(n) {
			list = append(list, line)
		}
	}
	i.list = list
}

// rehearse begins a dry run.
func (i *importer) rehearse() error {
	var begun struct {
		Rehearsal string `json:"rehearsal"`
	}
	err := i.remote.Ask(i.ctx, client.Request{Method: http.MethodPost, Path: i.remote.OrgPath("rehearsals")}, &begun)
	i.rehearsal = begun.Rehearsal
	return err
}

// goodbye is how long the end of a dry run may take. The service ends it by itself a
// minute later.
const goodbye = 2 * time.Second

// endRehearsal releases the copy of the org, also after an interruption.
func (i *importer) endRehearsal() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(i.ctx), goodbye)
	defer cancel()
	if _, err := i.remote.SendOnce(ctx, client.Request{Method: http.MethodDelete, Path: i.remote.OrgPath("rehearsals", i.rehearsal)}); err != nil {
		i.teller.say("the service keeps the copy of the org for a minute more: %v", err)
	}
}
