package door

import (
	"time"

	"gatehouse/domain/unlock"
	"gatehouse/gateways/driver"
	"gatehouse/schemas/wire"
)

// State is what a machine knows. The engine stores it after each Step that had effects,
// and gives it back to New after a restart; the zero State is that of a new door.
type State struct {
	Leaf       Leaf      `json:"leaf,omitempty"`
	OpenSince  time.Time `json:"open_since,omitzero"`
	HeldAt     time.Time `json:"held_at,omitzero"` // when the leaf will be open for too long; zero: never
	Held       bool      `json:"held,omitempty"`   // that it is open for too long is recorded
	Unwatched  bool      `json:"unwatched,omitempty"`
	Tampered   bool      `json:"tampered,omitempty"`
	BatteryLow bool      `json:"battery_low,omitempty"`
	Drifted    bool      `json:"drifted,omitempty"` // the device holds what it should not, or lacks what it should hold
	Link       Link      `json:"link,omitempty"`

	Locked      bool        `json:"locked,omitempty"` // the bolt is known to be locked, but for a release
	LockedSince time.Time   `json:"locked_since,omitzero"`
	UnlockedBy  wire.Method `json:"unlocked_by,omitempty"` // while not Locked; empty: nobody knows how the bolt is
	ReleaseEnds time.Time   `json:"release_ends,omitzero"`

	Posture Posture `json:"posture,omitzero"`
	Fire    bool    `json:"fire,omitempty"` // the fire input of the door is on
	// FireAround says that the fire input of the whole gateway is on. Neither ends the
	// other: a device that comes back in a fire says of its own input that it is off.
	FireAround bool `json:"fire_around,omitempty"`

	Want    driver.Action `json:"want,omitempty"` // Unlock or Lock: ordered, and not done yet
	WantAt  time.Time     `json:"want_at,omitzero"`
	Tries   int           `json:"tries,omitempty"`
	Relocks int           `json:"relocks,omitempty"` // how often the device locked itself under this posture

	Passages []Passage `json:"passages,omitempty"` // oldest first, at most maxPassages
}

// Leaf is where the leaf of a door is.
type Leaf uint8

// The places of a leaf. LeafUnknown is that of a door without a contact.
const (
	LeafUnknown Leaf = iota
	LeafClosed
	LeafOpen
)

// Link tells whether the device answers.
type Link uint8

// The states of a link.
const (
	LinkUnknown Link = iota
	LinkOnline
	LinkOffline
)

// Passage is a time within which somebody may open the door: by a grant, or from the
// inside.
type Passage struct {
	Of         uint64      `json:"of,omitempty"` // 0: a request to exit
	Side       unlock.Side `json:"side,omitempty"`
	Method     wire.Method `json:"method,omitempty"`
	Person     wire.ID     `json:"person,omitempty"`
	Credential wire.ID     `json:"credential,omitempty"`
	From       time.Time   `json:"from"`
	Until      time.Time   `json:"until"`
	Open       bool        `json:"open,omitempty"`   // the leaf was open in that time, so that nobody need have opened it
	Unsure     bool        `json:"unsure,omitempty"` // the contact was not watched all that time
	// Told says that the passage is over, and recorded. It is kept for an event that comes
	// late.
	Told bool `json:"told,omitempty"`
}

// maxPassages bounds the passages of a door.
const maxPassages = 16

// Mode names the state of a door, as in the table of the package comment.
type Mode string

// The modes.
const (
	Burning    Mode = "fire"     // released by the fire input
	Standing   Mode = "standing" // open to anybody by its posture
	TooLong    Mode = "held"     // the leaf is open for too long
	Open       Mode = "open"     // the leaf is open
	Awaited    Mode = "granted"  // somebody may open it
	Unsure     Mode = "unsure"   // as granted, but nobody will know whether they did
	Exiting    Mode = "exiting"  // somebody inside asked to go out
	Unlocked   Mode = "unlocked" // the bolt is open by hand, or nobody knows
	InLockdown Mode = "lockdown" // locked, and nobody is let in
	Locked     Mode = "locked"
)

// Mode names the state.
func (s *State) Mode() Mode {
	switch s.openBy() {
	case wire.MethodFire:
		return Burning
	case wire.MethodPosture:
		return Standing
	}
	if s.Leaf == LeafOpen {
		if s.Held {
			return TooLong
		}
		return Open
	}
	if m := s.awaited(); m != "" {
		return m
	}
	switch {
	case !s.Locked:
		return Unlocked
	case s.Posture.Lockdown:
		return InLockdown
	}
	return Locked
}

// awaited is the mode that a passage makes of a closed door; empty: there is none.
func (s *State) awaited() Mode {
	var m Mode
	for _, p := range s.Passages {
		switch {
		case p.Told:
		case p.Of == 0 && m == "":
			m = Exiting
		case p.Of != 0 && (p.Open || p.Unsure) && m != Awaited:
			m = Unsure
		case p.Of != 0:
			m = Awaited
		}
	}
	return m
}

// openBy tells what keeps the door open to anybody: fire, posture, or nothing. Fire is
// above a lockdown.
func (s *State) openBy() wire.Method {
	switch {
	case (s.Fire || s.FireAround) && s.Posture.FireRelease:
		return wire.MethodFire
	case s.Posture.Open && !s.Posture.Lockdown:
		return wire.MethodPosture
	}
	return ""
}

// waiting finds the passage of a grant that is not over, or nil.
func (s *State) waiting(of uint64) *Passage {
	for i := range s.Passages {
		if p := &s.Passages[i]; p.Of == of && !p.Told {
			return p
		}
	}
	return nil
}

// doubt marks the passages that are not over: the contact cannot tell of them.
func (s *State) doubt() {
	for i := range s.Passages {
		s.Passages[i].Unsure = s.Passages[i].Unsure || !s.Passages[i].Told
	}
}
