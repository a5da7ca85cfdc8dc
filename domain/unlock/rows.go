package unlock

import "gatehouse/domain/schedule"

// Row is one fact of a site's permissions. Rows are passed by pointer and must not be
// changed once a table or a delta has them. A row that others may refer to has an id of
// 1 to MaxID visible ASCII characters. Sets are sorted and without duplicates, so that
// the same fact has one encoding.
type Row interface {
	// Key names the row. A row that is put replaces the one with its key.
	Key() Key
	// check refuses a row that a table cannot hold.
	check() error
}

// Site is the one row about the site as a whole. A table without it allows nothing, not
// even fire release: it has no time and no doors.
type Site struct {
	ID string `json:"id"`
	// Zone, Calendar and Blackouts determine at which instants schedules hold.
	Zone      schedule.ZoneRules `json:"zone"`
	Calendar  schedule.Calendar  `json:"calendar,omitempty"`
	Blackouts schedule.Blackouts `json:"blackouts,omitempty"` // no grant opens anything during one
	// Posture applies to every door whose own is Normal. For doors of units only
	// Lockdown applies, which takes precedence over any other. It holds until
	// PostureUntil, exclusive; zero means until it is changed. PostureSource is the id
	// of the commit it comes from.
	Posture       Posture `json:"posture"`
	PostureUntil  Instant `json:"posture_until,omitzero"`
	PostureSource string  `json:"posture_source,omitempty"`
	// SharedUserFobs lets a fob or card use access that was shared with its holder
	// (rule F6).
	SharedUserFobs bool `json:"shared_user_fobs,omitempty"`
	// FobSchedule is the id of the one schedule that fobs and cards follow in place of
	// those of rights, units and grants; empty means they follow the schedule of their
	// user.
	FobSchedule string `json:"fob_schedule,omitempty"`
	// LockdownShutsOut says that a lockdown denies side out, too; otherwise the way out
	// stays free.
	LockdownShutsOut bool `json:"lockdown_shuts_out,omitempty"`
	// LeaseStandard and LeaseCritical are the lengths of leases, in seconds, 1 to
	// 259,200 (72 h). Gateways read them; a decision reads the lease itself.
	LeaseStandard uint32 `json:"lease_standard_s"`
	LeaseCritical uint32 `json:"lease_critical_s"`
	// TagKey is the version of the key under which tags were made.
	TagKey uint32 `json:"tag_key"`
}

// Door is a door or anything else that a gateway opens.
type Door struct {
	ID string `json:"id"`
	// AreaIn is the area behind the door, AreaOut the one before it; either may be
	// empty.
	AreaIn  string `json:"area_in,omitempty"`
	AreaOut string `json:"area_out,omitempty"`
	// Unit is set on the doors of a unit.
	Unit string `json:"unit,omitempty"`
	// Gateway is the id of the gateway that opens it; empty means none is assigned.
	Gateway string `json:"gateway,omitempty"`
	// Entry says that a gatelock closes it: gates, entries, lifts, inner doors.
	Entry   bool      `json:"entry,omitempty"`
	Class   DoorClass `json:"class"`
	Enabled bool      `json:"enabled"`
	// Posture holds until PostureUntil, exclusive; zero means until it is changed.
	// PostureSource is the id of the commit or schedule it comes from.
	Posture       Posture `json:"posture"`
	PostureUntil  Instant `json:"posture_until,omitzero"`
	PostureSource string  `json:"posture_source,omitempty"`
	// FireRelease says that the fire input releases it at once.
	FireRelease  bool               `json:"fire_release,omitempty"`
	Capabilities []Capability       `json:"capabilities,omitempty"` // RemoteUnlock, UnlockFor
	AfterLease   AfterLease         `json:"after_lease"`
	Blackouts    schedule.Blackouts `json:"blackouts,omitempty"` // in addition to those of the site
	Factor       Factor             `json:"factor"`
	Presence     Presence           `json:"presence"`
	// Occupancy is how many people AreaIn may hold; 0 means any number.
	Occupancy uint32 `json:"occupancy,omitempty"`
	// Hours are the ids of the rights whose business hours the door keeps, sorted.
	// While any of them hold, and the postures of door and site are Normal, the door
	// stands open.
	Hours []string `json:"hours,omitempty"`
}

// Right is a set of doors with a schedule. The doors of a group are a Right, too.
type Right struct {
	ID    string   `json:"id"`
	Doors []string `json:"doors"`
	// Schedule is the id of the schedule on which it holds; empty means always.
	Schedule string `json:"schedule,omitempty"`
	// Capabilities are what every grant of the right permits in addition to its own:
	// RemoteUnlock, UnlockFor. Here a setting for thousands is one row.
	Capabilities []Capability `json:"capabilities,omitempty"`
	// Hours are business hours, for the doors that name the right; nil means none.
	Hours *Hours `json:"hours,omitempty"`
}

// Hours are business hours: a door stands open to anybody while they hold.
type Hours struct {
	// Schedule is the id of the schedule on which they hold. They do not hold in a
	// blackout of the site or of the door.
	Schedule string `json:"schedule"`
	// FirstIn says that they begin only once somebody with FirstIn has opened the door:
	// within them, or within Grace before.
	FirstIn bool `json:"first_in"`
	// Grace is in seconds, at most MaxGrace.
	Grace uint32 `json:"grace_s,omitempty"`
}

// MaxGrace bounds the grace of business hours, in seconds (12 h).
const MaxGrace = 12 * 3600

// Schedule is a schedule that rights, units, grants and credentials refer to.
type Schedule struct {
	ID       string            `json:"id"`
	Schedule schedule.Schedule `json:"schedule"`
	// Closed are its own blackouts, sorted. The schedule does not hold during them, not
	// even for fobs that follow the one schedule of the site.
	Closed []Window `json:"closed,omitempty"`
}

// Person is somebody who may hold credentials and grants.
type Person struct {
	ID    string      `json:"id"`
	State PersonState `json:"state"`
}

// Unit is a unit that can be booked.
type Unit struct {
	ID    string    `json:"id"`
	State UnitState `json:"state"`
	// Rights are opened by a grant of a booking of the unit that names no right of its
	// own. They are sorted by right; empty means that the unit is not mapped and opens
	// nothing.
	Rights []UnitRight `json:"rights,omitempty"`
}

// UnitRight is an access right mapped to a unit.
type UnitRight struct {
	Right string `json:"right"`
	// Schedule restricts that of the right; empty means the right's alone.
	Schedule string `json:"schedule,omitempty"`
}

// Booking gives a unit to a tenant for a window.
type Booking struct {
	ID   string `json:"id"`
	Unit string `json:"unit"`
	// Person is the primary tenant. The tenant's own grants say where the tenant has
	// access. The access of others by this booking works while the tenant is active.
	Person string       `json:"person"`
	Window Window       `json:"window,omitzero"`
	State  BookingState `json:"state"`
}

// Credential is a card, fob, PIN or key of a person.
type Credential struct {
	ID string `json:"id"`
	// Tag is the tag that a reader computes under the site's tag key; zero means that
	// it cannot be read at a door (a mobile key that is known by id).
	Tag    Tag            `json:"tag,omitzero"`
	Kind   CredentialKind `json:"kind"` // not AnyKind
	Format string         `json:"format,omitempty"`
	Person string         `json:"person"`
	// Booking binds it to the grants of one booking: it opens nothing else, and ends
	// with the booking. Empty means that it opens everything that the person may.
	Booking string `json:"booking,omitempty"`
	Window  Window `json:"window,omitzero"`
	// Schedule is the id of its own schedule, such as that of a PIN for weekly visits;
	// empty means none. It restricts all access of its holder, also if fobs follow the
	// one schedule of the site.
	Schedule string          `json:"schedule,omitempty"`
	State    CredentialState `json:"state"`
	// SuspendedUntil ends a suspension, exclusive; zero means until it is lifted.
	SuspendedUntil Instant `json:"suspended_until,omitzero"`
	// MaxUses is how often it opens, as its gateway counts; 0 means any number of
	// times.
	MaxUses uint32 `json:"max_uses,omitempty"`
	// Home is the id of the gateway that counts the uses. The credential opens no door
	// of another gateway, which would count for itself. Empty means that each gateway
	// counts for itself.
	Home string `json:"home,omitempty"`
	// DenyListed denies it in any state.
	DenyListed bool `json:"deny_listed,omitempty"`
	// Duress says that its holder shows it under duress. It decides as any other, and
	// the answer reports the duress.
	Duress bool `json:"duress,omitempty"`
}

// Grant lets a person through the doors of a right. It opens only where and when the
// grant, its booking and all its parents permit it.
type Grant struct {
	ID     string `json:"id"`
	Person string `json:"person"`
	// Right is the right that it opens; empty means the rights that are mapped to the
	// unit of its booking.
	Right string `json:"right,omitempty"`
	// Booking is the booking that it depends on; empty means none.
	Booking string `json:"booking,omitempty"`
	// Parent is the grant that it is a part of; empty means none. A grant has at most
	// MaxParents above it.
	Parent string `json:"parent,omitempty"`
	Window Window `json:"window,omitzero"`
	// Schedule restricts that of the right; empty means the right's alone.
	Schedule string `json:"schedule,omitempty"`
	// Kinds are the kinds of credential that may use it; empty means every kind.
	Kinds        []CredentialKind `json:"kinds,omitempty"`
	Capabilities []Capability     `json:"capabilities,omitempty"`
	Source       Source           `json:"source"`
	State        GrantState       `json:"state"`
}

// MaxParents is how many grants may be above one. Longer chains, and circles, deny.
const MaxParents = 8

// Key names the row.
func (r *Site) Key() Key { return Key{KindSite, r.ID} }

// Key names the row.
func (r *Door) Key() Key { return Key{KindDoor, r.ID} }

// Key names the row.
func (r *Right) Key() Key { return Key{KindRight, r.ID} }

// Key names the row.
func (r *Schedule) Key() Key { return Key{KindSchedule, r.ID} }

// Key names the row.
func (r *Person) Key() Key { return Key{KindPerson, r.ID} }

// Key names the row.
func (r *Unit) Key() Key { return Key{KindUnit, r.ID} }

// Key names the row.
func (r *Booking) Key() Key { return Key{KindBooking, r.ID} }

// Key names the row.
func (r *Credential) Key() Key { return Key{KindCredential, r.ID} }

// Key names the row.
func (r *Grant) Key() Key { return Key{KindGrant, r.ID} }
