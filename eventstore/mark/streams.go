package mark

import (
	"cmp"
	"encoding/binary"

	"gatehouse/schemas/wire"
)

// StreamEnd is how far a stream goes.
type StreamEnd struct {
	Created int64  `json:"created"` // in Unix nanoseconds: its identity
	First   uint64 `json:"first"`   // sequence
	Last    uint64 `json:"last"`    // sequence
	Msgs    uint64 `json:"msgs"`
}

// gaps is how many messages between the first and the last are not there.
func (e StreamEnd) gaps() uint64 { return e.Last + 1 - cmp.Or(e.First, 1) - e.Msgs }

// markOf writes what is known of a stream's end as a mark.
func (e StreamEnd) markOf(name string, count uint64) Mark {
	m := Mark{Org: OfStream(name), Ledger: e.Created, Epoch: 1, N: count, Seq: e.Last}
	binary.LittleEndian.PutUint64(m.Hash[:], e.First)
	binary.LittleEndian.PutUint64(m.Hash[8:], e.gaps())
	return m
}

// endOf reads what a mark knows of a stream's end.
func endOf(m Mark) StreamEnd {
	end := StreamEnd{Created: m.Ledger, First: binary.LittleEndian.Uint64(m.Hash[:]), Last: m.Seq}
	end.Msgs = end.Last + 1 - cmp.Or(end.First, 1) - binary.LittleEndian.Uint64(m.Hash[8:])
	return end
}

// StreamEnd returns what is known of a stream's end; own is false when the witness
// alone knows of it.
func (m *Marks) StreamEnd(name string) (end StreamEnd, own, ok bool) {
	known, _, ok := m.Of(OfStream(name))
	_, own = m.data.Of(OfStream(name))
	return endOf(known), own, ok
}

// BeginStream notes how far a stream goes that the server has opened. From then on
// AdvanceStream goes on from there, whatever was known of it before.
func (m *Marks) BeginStream(name string, end StreamEnd) {
	m.streams.Lock()
	defer m.streams.Unlock()
	if m.made == nil {
		m.made = map[string]int64{}
	}
	m.made[name] = end.Created
	known, _, _ := m.Of(OfStream(name))
	if was := endOf(known); was != end {
		m.Advance(end.markOf(name, known.N+1))
	}
}

// AdvanceStream notes that a message of a stream is durable, before its sender hears of
// it. It makes nothing durable itself.
func (m *Marks) AdvanceStream(name string, seq uint64) {
	if m == nil {
		return
	}
	m.streams.Lock()
	defer m.streams.Unlock()
	created, begun := m.made[name]
	known, _, _ := m.Of(OfStream(name))
	if !begun || known.Ledger == created && known.Seq >= seq {
		return
	}
	if known.Ledger != created {
		known.Ledger, known.Hash = created, wire.Hash{}
	}
	known.Org, known.Epoch, known.N, known.Seq = OfStream(name), 1, known.N+1, seq
	m.Advance(known)
}

// TakeOut notes that the messages of a stream before one are about to be taken out.
func (m *Marks) TakeOut(name string, first uint64) {
	if m == nil {
		return
	}
	m.streams.Lock()
	defer m.streams.Unlock()
	known, _, ok := m.Of(OfStream(name))
	end := endOf(known)
	if !ok || known.Ledger != m.made[name] || end.First >= first {
		return
	}
	end.First, end.Msgs = first, end.Last+1-first
	m.Advance(end.markOf(name, known.N+1))
}

// LedgerSeq returns the highest sequence of a ledger that a mark knows of; false when
// the marks may lack some.
func (m *Marks) LedgerSeq(created int64) (seq uint64, ok bool) {
	if m.Missing() {
		return 0, false
	}
	for _, known := range m.All() {
		if known.Ledger == created {
			seq = max(seq, known.Seq)
		}
	}
	return seq, seq > 0
}
