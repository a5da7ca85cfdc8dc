package unlock

import "math"

// Request asks whether a door opens. It names the credential by tag or by id, or
// else the person; the first of these that is not zero counts.
type Request struct {
	Door ID
	Side Side // Out, or else In
	// At is the instant that is judged.
	At         Instant
	Tag        Tag // as a reader took it
	Credential ID  // known otherwise: a mobile key, or a question
	Person     ID  // known otherwise: a remote unlock, or a question
	// Kind is what kind of credential is shown: beside a Person the kind to judge,
	// AnyKind for whatever they carry; beside a Tag what the reader takes, Pin for
	// digits.
	Kind CredentialKind
	// Command is what is asked from afar; NoCommand at the door.
	Command Command
	// Second is the tag shown as the second factor; zero: none.
	Second Tag
	// Fault is why the reader has no tag; NoFault when it has.
	Fault Fault
}

// Command is what is asked from afar. Its grant and its door must permit it.
type Command uint8

// The commands.
const (
	NoCommand Command = iota
	CommandRemoteUnlock
	CommandUnlockFor
)

// Fault is why a reader could make no tag of a card.
type Fault uint8

// The faults.
const (
	NoFault Fault = iota
	WrongFacilityCode
	WrongCardFormat
)

// Held is the end of a lease that does not end: for questions asked where the
// ledger is.
const Held Instant = math.MaxInt64

// LastTableCeiling is how long after the end of its lease a door with the policy
// LastTable goes on, in nanoseconds (72 h).
const LastTableCeiling = 72 * 3600 * 1_000_000_000

// Local is what only the gateway of the door knows, as it stands at the instant
// of the request for this door, credential and person. It is written into the
// record of the decision. The zero Local says nothing that denies, except that no
// lease is held.
type Local struct {
	// LeaseEnd is the end of the lease for the class of the door, exclusive. At the
	// service it is Held.
	LeaseEnd Instant `json:"lease_end,omitzero"`
	// ClockUnsure says that no service time was had since the gateway started. A
	// critical door takes no lease for held then.
	ClockUnsure bool `json:"clock_unsure,omitempty"`
	Fire        bool `json:"fire,omitempty"`    // the fire input is on
	Blocked     bool `json:"blocked,omitempty"` // the door is blocked at the door
	// FirstInPending says that the door waits for somebody with FirstIn.
	FirstInPending bool `json:"first_in_pending,omitempty"`
	// FirstIn is when somebody last opened the door, at the door and not from afar,
	// with a grant that has FirstIn; zero: it is not known that anybody has, and
	// business hours that wait for it do not begin.
	FirstIn   Instant `json:"first_in,omitzero"`
	Interlock bool    `json:"interlock,omitempty"` // another door of the interlock is open
	// Keypad is what wrong codes have come to at the reader.
	Keypad Keypad `json:"keypad,omitzero"`
	// LastSide is how the person last passed a door of the area; NoSide: unknown.
	LastSide Side `json:"last_side,omitzero"`
	// Uses is how often the credential has opened.
	Uses uint32 `json:"uses,omitempty"`
	// Occupancy is how many people are in the area that the door leads into.
	Occupancy uint32 `json:"occupancy,omitempty"`
}
