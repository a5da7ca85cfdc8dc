package unlock

import "math"

// Request asks whether a door opens. It names the credential by tag or by id, or else
// the person; the first of these that is not zero counts.
type Request struct {
	Door ID
	Side Side // Out; any other value means In
	// At is the instant to decide about.
	At         Instant
	Tag        Tag // as a reader read it
	Credential ID  // known otherwise: a mobile key, or a query
	Person     ID  // known otherwise: a remote unlock, or a query
	// Kind is the kind of the credential. Beside a Person it is the kind to decide
	// about, or AnyKind for any that they carry. Beside a Tag it is the kind that the
	// reader reads, Pin for digits.
	Kind CredentialKind
	// Command is the remote command; NoCommand at the door.
	Command Command
	// Second is the tag shown as the second factor; zero means none.
	Second Tag
	// Fault is why the reader has no tag; NoFault when it has one.
	Fault Fault
}

// Command is a remote command. Its grant and its door must permit it.
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

// Held is the end of a lease that does not end. It is for queries at the service, where
// the ledger is.
const Held Instant = math.MaxInt64

// LastTableCeiling is how long a door with LastTable keeps deciding after its lease has
// ended. It is in nanoseconds (72 h).
const LastTableCeiling = 72 * 3600 * 1_000_000_000

// Local is the state that only the gateway of the door knows. It is taken at the
// instant of the request, for its door, credential and person. It is written into the
// record of the decision. The zero Local denies nothing, except that no lease is held.
type Local struct {
	// LeaseEnd is the end of the lease for the class of the door, exclusive. At the
	// service it is Held.
	LeaseEnd Instant `json:"lease_end,omitzero"`
	// ClockUnsure says that the gateway has had no service time since it started. A
	// critical door then denies, whatever its lease.
	ClockUnsure bool `json:"clock_unsure,omitempty"`
	Fire        bool `json:"fire,omitempty"`    // the fire input is on
	Blocked     bool `json:"blocked,omitempty"` // the door is blocked on the spot
	// FirstInPending says that the door waits for somebody with FirstIn.
	FirstInPending bool `json:"first_in_pending,omitempty"`
	// FirstIn is when somebody with a grant that has FirstIn last opened the door, at
	// the door and not remotely. Zero means that this is not known of anybody, so that
	// business hours that wait for it do not begin.
	FirstIn   Instant `json:"first_in,omitzero"`
	Interlock bool    `json:"interlock,omitempty"` // another door of the interlock is open
	// Keypad is the state of the back-off after wrong codes at the reader.
	Keypad Keypad `json:"keypad,omitzero"`
	// LastSide is how the person last passed a door of the area; NoSide means unknown.
	LastSide Side `json:"last_side,omitzero"`
	// Uses is how often the credential has opened.
	Uses uint32 `json:"uses,omitempty"`
	// Occupancy is how many people are in the area that the door leads into.
	Occupancy uint32 `json:"occupancy,omitempty"`
}
