package natsserver

import (
	"fmt"

	"github.com/nats-io/nats-server/v2/server"

	"gatehouse/eventstore/mark"
	"gatehouse/eventstore/streams"
)

// streamEnds asks the server how far the streams of the service go.
func (e *Embedded) streamEnds() (map[string]mark.StreamEnd, error) {
	info, err := e.Server().Jsz(&server.JSzOptions{Accounts: true, Streams: true})
	if err != nil {
		return nil, fmt.Errorf("natsserver: look at the streams: %w", err)
	}
	out := map[string]mark.StreamEnd{}
	for _, account := range info.AccountDetails {
		if account.Name != server.DEFAULT_GLOBAL_ACCOUNT {
			continue
		}
		for _, s := range account.Streams {
			out[s.Name] = mark.StreamEnd{Created: s.Created.UnixNano(), First: s.State.FirstSeq, Last: s.State.LastSeq, Msgs: s.State.Msgs}
		}
	}
	return out, nil
}

// CheckStreamEnds compares how far the streams go with what is known of it elsewhere,
// and writes down what is lost. Of the ledger each org is compared on its own besides.
func (e *Embedded) CheckStreamEnds() error {
	if e.cfg.Marks == nil {
		return nil
	}
	ends, err := e.streamEnds()
	if err != nil {
		return err
	}
	for _, want := range streams.Wanted(1) {
		end, there := ends[want.Name]
		if !there {
			continue
		}
		lost := ""
		known, own, ok := e.cfg.Marks.StreamEnd(want.Name)
		if ok {
			lost = lostOf(want.Name, known, own, end)
		}
		if was, ok := e.last.Streams[want.Name]; ok && lost == "" {
			lost = lostOf(want.Name, was, true, end)
			if gone := end.Last - end.Msgs; lost == "" && want.Name == streams.Permissions && gone > was.Last-was.Msgs {
				lost = fmt.Sprintf("%d messages of %s are lost since the service ended.%s", gone-(was.Last-was.Msgs), want.Name, republished)
			}
		}
		if want.Name == streams.Ledger && lost == "" {
			lost = e.marksLost(end)
		}
		if lost != "" {
			if err := e.note(want.Name, lost); err != nil {
				return err
			}
		}
		e.cfg.Marks.BeginStream(want.Name, end)
	}
	return nil
}

const republished = " What gateways need of it is published again."

// marksLost tells that nobody knows where the ledger ends: its marks are lost, and it
// did not end in good order at this length.
func (e *Embedded) marksLost(end mark.StreamEnd) string {
	if !e.cfg.Marks.Missing() || end.Last == 0 || e.last.Clean && e.last.Streams[streams.Ledger] == end {
		return ""
	}
	return fmt.Sprintf("the marks of where %s ends are lost, and the process did not end in good order: whether the last commits are lost too is not known. "+
		"Compare the heads of the orgs with what a backup or the gateways know; where they lack commits, %s. "+
		"A directory that a version without marks has served tells the same once.", streams.Ledger, streams.DamageAdvice)
}

// lostOf tells what a stream has lost of what was known of it; empty when it is
// nothing. After a restore the witness knows of another stream than the data directory.
func lostOf(name string, known mark.StreamEnd, own bool, end mark.StreamEnd) string {
	more := republished
	switch name {
	case streams.Ledger:
		more = " Orgs that lost commits serve nothing; " + streams.DamageAdvice + "."
	case streams.Activity:
		more = " What was observed at doors then is in the gateways' own records and in backups alone."
	case streams.Refusals:
		more = " What was refused then is in backups alone; no access depends on it."
	}
	if known.Created != end.Created {
		if !own || known.Last == 0 {
			return ""
		}
		return fmt.Sprintf("%s was made again; there was one of up to %d messages before.%s", name, known.Last, more)
	}
	if end.Last < known.Last {
		return fmt.Sprintf("messages %d to %d of %s are lost.%s", end.Last+1, known.Last, name, more)
	}
	gone, were := end.Last-end.Msgs, known.Last-known.Msgs
	if name != streams.Permissions && gone > were { // of permissions old ones are taken out everywhere
		return fmt.Sprintf("%d messages of %s are lost, within it or at its beginning.%s", gone-were, name, more)
	}
	return ""
}
