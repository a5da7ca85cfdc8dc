package control

import (
	"context"
	"fmt"
	"strconv"

	"gatehouse/schemas/wire"
)

// history gives a gateway a page of its own records: a box that takes the place of another
// makes from them what the one before alone knew, such as how often a code opened.
func (c *Control) history(ctx context.Context, q *question) (*wire.Answer, [][]byte, error) {
	var from uint64 = 1
	if q.ask.Page != "" {
		seq, err := strconv.ParseUint(q.ask.Page, 16, 64)
		if err != nil || seq == 0 {
			return nil, nil, &wire.AskError{Code: wire.AskMalformed, Message: fmt.Sprintf("page %.40q is no page of the history; ask for the first one", q.ask.Page)}
		}
		from = seq
	}
	bodies, next, err := c.cfg.Store.RecordsFrom(ctx, q.org, q.site, q.gateway, from, wire.MaxRecordsSize)
	if err != nil {
		return nil, nil, err
	}
	answer := &wire.Answer{Site: wire.ID(q.site)}
	if next > 0 {
		answer.Page = strconv.FormatUint(next, 16)
	}
	return answer, bodies, nil
}

// lost tells a gateway whose table is of an earlier epoch what restores lost since.
func (c *Control) lost(ctx context.Context, q *question, epoch uint64) ([]wire.Lost, error) {
	if q.ask.Epoch == 0 || q.ask.Epoch >= epoch {
		return nil, nil
	}
	ranges, err := c.cfg.Store.LostRanges(ctx, q.org)
	if err != nil {
		return nil, err
	}
	var all []wire.Lost
	for i, r := range ranges {
		l := wire.Lost{Epoch: uint64(i) + 2, From: r.From, To: r.To} // each restore begins an epoch; the first is 1
		if l.Epoch > q.ask.Epoch && len(all) < wire.MaxLost {
			l.Sign(wire.ID(q.org), c.cfg.LogKey)
			all = append(all, l)
		}
	}
	return all, nil
}
