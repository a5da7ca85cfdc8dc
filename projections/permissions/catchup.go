package permissions

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"gatehouse/domain"
	"gatehouse/schemas/wire"
)

// # How a gateway catches up
//
// A gateway has a table of some head, or none. Missing gives it the published messages
// that lead from there to the present, page by page: the deltas that follow its head, or
// the newest base and the deltas that follow that. They are the messages as published,
// each with its digest and signature, so that the gateway need not trust the way that
// they came.

// maxPage is how many messages one page has, at most.
const maxPage = 500

// Page is a part of what a gateway lacks.
type Page struct {
	Messages [][]byte // as published, in their order
	Base     bool     // they begin with a base, or with the first delta: the gateway begins with nothing
	Next     string   // names the next page; empty: this is the last
}

// ErrNoSuchPage says that a page cannot be continued: a later base has taken the place of
// the one that it was of, or nobody gave its name. The gateway begins again.
var ErrNoSuchPage = errors.New("permissions: there is no such page")

// Head is the published head of a site up to the last commit that is published of its
// org; ok is false for a site of which nothing is published yet.
func (p *Projector) Head(org, site domain.ID) (head wire.PermissionHead, ok bool) {
	o := p.org(org)
	if o == nil {
		return wire.PermissionHead{}, false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	s := (*o.sites.Load())[site]
	if s == nil || !s.known || s.frozen {
		return wire.PermissionHead{}, false
	}
	return s.published.head, true
}

// NotOfTheSite is what [Projector.Since] says of a head that the site never had, or not
// for long: before every commit.
var NotOfTheSite = time.Unix(0, 0).UTC()

// Since is the time of the commit of the first published change that a table with a head
// lacks. It is zero when it lacks none, and NotOfTheSite when the head is none of the
// site's.
func (p *Projector) Since(ctx context.Context, org, site domain.ID, head wire.PermissionHead) (time.Time, error) {
	from, ok, err := p.after(ctx, org, site, head)
	if err != nil || !ok {
		return NotOfTheSite, err
	}
	msg, err := p.stream.GetMsg(ctx, from, jetstream.WithGetMsgSubject(subject(org, site)))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	return atIn(msg.Data)
}

// Missing returns the page of what a table with a head lacks. The first page has no name.
func (p *Projector) Missing(ctx context.Context, org, site domain.ID, head wire.PermissionHead, page string, size int) (Page, error) {
	if page == "" {
		return p.firstPage(ctx, org, site, head, size)
	}
	kind, text, _ := strings.Cut(page, "-")
	seq, err := strconv.ParseUint(text, 16, 64)
	if err != nil || seq == 0 {
		return Page{}, ErrNoSuchPage
	}
	switch kind {
	case "delta":
		return p.deltaPage(ctx, org, site, seq, size)
	case "base":
		return p.basePage(ctx, org, site, seq, size)
	}
	return Page{}, ErrNoSuchPage
}

func (p *Projector) firstPage(ctx context.Context, org, site domain.ID, head wire.PermissionHead, size int) (Page, error) {
	from, ok, err := p.after(ctx, org, site, head)
	if err != nil {
		return Page{}, err
	}
	if ok {
		return p.deltaPage(ctx, org, site, from, size)
	}
	last, err := p.stream.GetLastMsgForSubject(ctx, baseSubject(org, site))
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		page, err := p.deltaPage(ctx, org, site, 1, size)
		page.Base = true
		return page, err
	case err != nil:
		return Page{}, err
	}
	first, err := p.firstOfBase(ctx, org, site, last)
	if err != nil {
		return Page{}, err
	}
	page, err := p.basePage(ctx, org, site, first, size)
	page.Base = true
	return page, err
}

// after finds where the deltas begin that follow a head; ok is false when the head is none
// of the site's, or so old that its deltas are gone.
func (p *Projector) after(ctx context.Context, org, site domain.ID, head wire.PermissionHead) (seq uint64, ok bool, err error) {
	if head.N == 0 {
		return 0, false, nil
	}
	deltas := subject(org, site)
	last, err := p.stream.GetLastMsgForSubject(ctx, deltas)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	from, err := firstFrom(ctx, p.stream, deltas, last.Sequence, func(m *jetstream.RawStreamMsg) (bool, error) {
		h, err := headIn(m.Data)
		return !h.Before(head), err
	})
	if err != nil {
		return 0, false, err
	}
	// Several messages may have the commit of the head: parts of one delta, and tags that
	// were made later. The last with its digest is the one to follow.
	for seq := from; ; {
		msg, err := p.stream.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(deltas))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return seq, ok, nil
		}
		if err != nil {
			return 0, false, err
		}
		h, err := headIn(msg.Data)
		if err != nil {
			return 0, false, err
		}
		if h.Epoch != head.Epoch || h.N != head.N || ok && h.Digest != head.Digest {
			return msg.Sequence, ok, nil
		}
		ok = ok || h.Digest == head.Digest
		seq = msg.Sequence + 1
	}
}

func (p *Projector) deltaPage(ctx context.Context, org, site domain.ID, from uint64, size int) (Page, error) {
	var page Page
	for seq := from; ; {
		msg, err := p.stream.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(subject(org, site)))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return page, nil
		}
		if err != nil {
			return Page{}, err
		}
		if size -= len(msg.Data) + 1; size < 0 && len(page.Messages) > 0 || len(page.Messages) == maxPage {
			page.Next = "delta-" + strconv.FormatUint(msg.Sequence, 16)
			return page, nil
		}
		page.Messages = append(page.Messages, msg.Data)
		seq = msg.Sequence + 1
	}
}

// basePage returns parts of the newest base from a message on. Behind its last part comes
// the page with the deltas that follow it.
func (p *Projector) basePage(ctx context.Context, org, site domain.ID, from uint64, size int) (Page, error) {
	var page Page
	var of *wire.PermissionHead
	for seq := from; ; {
		msg, err := p.stream.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(baseSubject(org, site)))
		if errors.Is(err, jetstream.ErrMsgNotFound) && of == nil {
			return Page{}, ErrNoSuchPage
		}
		if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
			return Page{}, err
		}
		var h wire.PermissionHead
		if err == nil {
			if h, err = headIn(msg.Data); err != nil {
				return Page{}, err
			}
		}
		if msg == nil || of != nil && h != *of {
			next, _, err := p.after(ctx, org, site, *of)
			page.Next = "delta-" + strconv.FormatUint(max(next, 1), 16)
			return page, err
		}
		if size -= len(msg.Data) + 1; size < 0 && len(page.Messages) > 0 {
			page.Next = "base-" + strconv.FormatUint(msg.Sequence, 16)
			return page, nil
		}
		of = &h
		page.Messages = append(page.Messages, msg.Data)
		seq = msg.Sequence + 1
	}
}

// firstOfBase finds the first message of the base of which last is the last message.
func (p *Projector) firstOfBase(ctx context.Context, org, site domain.ID, last *jetstream.RawStreamMsg) (uint64, error) {
	head, err := headIn(last.Data)
	if err != nil {
		return 0, err
	}
	return firstFrom(ctx, p.stream, baseSubject(org, site), last.Sequence, func(m *jetstream.RawStreamMsg) (bool, error) {
		h, err := headIn(m.Data)
		return !h.Before(head), err
	})
}
