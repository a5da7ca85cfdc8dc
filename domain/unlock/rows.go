package unlock

import "gatehouse/domain/schedule"

// Row is one fact of a site's permissions. Rows are handed over by pointer and
// must not be changed once a table or a delta has them. What may be referred to
// by others has an id of 1 to MaxID visible ASCII characters; sets are sorted and
// without doubles, so that the same fact has one encoding.
type Row interface {
	// Key names the row; a row put replaces the one with its key.
	Key() Key
	// check refuses what cannot stand in a table.
	check() error
}

// Site is the one row about the site as a whole. A table without it allows
// nothing, not even fire release: it has no time and no doors.
type Site struct {
	ID string `json:"id"`
	// Zone, Calendar and Blackouts make the instants of schedules.
	Zone      schedule.ZoneRules `json:"zone"`
	Calendar  schedule.Calendar  `json:"calendar,omitempty"`
	Blackouts schedule.Blackouts `json:"blackouts,omitempty"` // no grant opens anything meanwhile
	// Posture is that of every door whose own is Normal, but of doors of units only
	// Lockdown, which comes before any other. It holds until PostureUntil, exclusive;
	// zero: until it is changed. PostureSource is the id of the commit it comes from.
	Posture       Posture `json:"posture"`
	PostureUntil  Instant `json:"posture_until,omitzero"`
	PostureSource string  `json:"posture_source,omitempty"`
	// SharedUserFobs lets a fob or card open what was shared with its holder (rule F6).
	SharedUserFobs bool `json:"shared_user_fobs,omitempty"`
	// FobSchedule is the id of the one schedule that fobs and cards follow in place of
	// those of rights, units and grants; empty: they follow the schedule of their user.
	FobSchedule string `json:"fob_schedule,omitempty"`
	// LockdownShutsOut says that a lockdown denies side out too; without it the way
	// out stays free.
	LockdownShutsOut bool `json:"lockdown_shuts_out,omitempty"`
	// LeaseStandard and LeaseCritical are how long leases run, in seconds, 1 to
	// 259,200 (72 h). Gateways read them; a decision reads the lease itself.
	LeaseStandard uint32 `json:"lease_standard_s"`
	LeaseCritical uint32 `json:"lease_critical_s"`
	// TagKey is the version of the key under which tags were made.
	TagKey uint32 `json:"tag_key"`
}

// Door is whatever a gateway opens.
type Door struct {
	ID string `json:"id"`
	// AreaIn is the area behind the door, AreaOut the one before it; either may be
	// empty.
	AreaIn  string `json:"area_in,omitempty"`
	AreaOut string `json:"area_out,omitempty"`
	// Unit is set on the doors of a unit.
	Unit string `json:"unit,omitempty"`
	// Gateway is the id of the one that opens it; empty: none was assigned.
	Gateway string `json:"gateway,omitempty"`
	// Entry says that a gatelock shuts it: gates, entries, lifts, inner doors.
	Entry   bool      `json:"entry,omitempty"`
	Class   DoorClass `json:"class"`
	Enabled bool      `json:"enabled"`
	// Posture holds until PostureUntil, exclusive; zero: until it is changed.
	// PostureSource is the id of the commit or schedule it comes from.
	Posture       Posture `json:"posture"`
	PostureUntil  Instant `json:"posture_until,omitzero"`
	PostureSource string  `json:"posture_source,omitempty"`
	// FireRelease says that the fire input releases it at once.
	FireRelease  bool               `json:"fire_release,omitempty"`
	Capabilities []Capability       `json:"capabilities,omitempty"` // RemoteUnlock, UnlockFor
	AfterLease   AfterLease         `json:"after_lease"`
	Blackouts    schedule.Blackouts `json:"blackouts,omitempty"` // beside those of the site
	Factor       Factor             `json:"factor"`
	Presence     Presence           `json:"presence"`
	// Occupancy is how many people AreaIn may hold; 0: any number.
	Occupancy uint32 `json:"occupancy,omitempty"`
	// Hours are the ids of the rights whose business hours the door keeps, sorted:
	// while any of them hold and its posture, and that of the site, is Normal, it
	// stands open.
	Hours []string `json:"hours,omitempty"`
}

// Right is a set of doors with a schedule; also the doors of a group.
type Right struct {
	ID    string   `json:"id"`
	Doors []string `json:"doors"`
	// Schedule is the id of the schedule on which it holds; empty: always.
	Schedule string `json:"schedule,omitempty"`
	// Capabilities are what every grant of the right lets its holder do beside what
	// the grant says: RemoteUnlock, UnlockFor. Here a setting for thousands is one
	// row.
	Capabilities []Capability `json:"capabilities,omitempty"`
	// Hours are business hours, for the doors that name the right; nil: none.
	Hours *Hours `json:"hours,omitempty"`
}

// Hours are business hours: a door stands open to anybody while they hold.
type Hours struct {
	// Schedule is the id of the schedule on which they hold. Nor do they hold in a
	// blackout of the site or of the door.
	Schedule string `json:"schedule"`
	// FirstIn says that they begin only once somebody with FirstIn has opened the
	// door: within them, or within Grace before.
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
	// Closed are its own blackouts, sorted: it does not hold meanwhile, not for fobs
	// either that follow the one schedule of the site.
	Closed []Window `json:"closed,omitempty"`
}

// Person is somebody who may hold credentials and grants.
type Person struct {
	ID    string      `json:"id"`
	State PersonState `json:"state"`
}

// Unit is what bookings are about.
type Unit struct {
	ID    string    `json:"id"`
	State UnitState `json:"state"`
	// Rights are what a grant of a booking of the unit opens that names no right of
	// its own, sorted by right; none: the unit is not mapped and opens nothing.
	Rights []UnitRight `json:"rights,omitempty"`
}

// UnitRight is an access right mapped to a unit.
type UnitRight struct {
	Right string `json:"right"`
	// Schedule narrows that of the right; empty: the right's alone.
	Schedule string `json:"schedule,omitempty"`
}

// Booking gives a unit to a tenant for a window.
type Booking struct {
	ID   string `json:"id"`
	Unit string `json:"unit"`
	// Person is the primary tenant. What the tenant may open stands in the tenant's
	// grants; what others may by this booking opens while the tenant is active.
	Person string       `json:"person"`
	Window Window       `json:"window,omitzero"`
	State  BookingState `json:"state"`
}

// Credential is what a person shows.
type Credential struct {
	ID string `json:"id"`
	// Tag is what a reader makes of it under the site's tag key; zero: it cannot be
	// read at a door (a mobile key that is known by id).
	Tag    Tag            `json:"tag,omitzero"`
	Kind   CredentialKind `json:"kind"` // not AnyKind
	Format string         `json:"format,omitempty"`
	Person string         `json:"person"`
	// Booking binds it to the grants of one booking: it opens nothing else, and
	// ends with it. Empty: it opens what the person may.
	Booking string `json:"booking,omitempty"`
	Window  Window `json:"window,omitzero"`
	// Schedule is the id of its own schedule, as of a PIN for weekly visits; empty:
	// none. It narrows whatever else its holder may, also where fobs follow the one
	// schedule of the site.
	Schedule string          `json:"schedule,omitempty"`
	State    CredentialState `json:"state"`
	// SuspendedUntil ends a suspension, exclusive; zero: until it is lifted.
	SuspendedUntil Instant `json:"suspended_until,omitzero"`
	// MaxUses is how often it opens, as its gateway counts; 0: as often as wanted.
	MaxUses uint32 `json:"max_uses,omitempty"`
	// Home is the id of the gateway that counts the uses: it opens no door of another,
	// which would count for itself. Empty: each gateway counts for itself.
	Home string `json:"home,omitempty"`
	// DenyListed denies it whatever the state.
	DenyListed bool `json:"deny_listed,omitempty"`
	// Duress says that its holder shows it when forced to: it decides as any other,
	// and the answer says so.
	Duress bool `json:"duress,omitempty"`
}

// Grant lets a person through the doors of a right. It opens where and when it,
// its booking and its parents up to the first all do.
type Grant struct {
	ID     string `json:"id"`
	Person string `json:"person"`
	// Right is the right that it opens; empty: whatever is mapped to the unit of
	// its booking.
	Right string `json:"right,omitempty"`
	// Booking is the one it stands and falls with; empty: none.
	Booking string `json:"booking,omitempty"`
	// Parent is the grant that it is a part of; empty: none. At most MaxParents
	// lie above a grant.
	Parent string `json:"parent,omitempty"`
	Window Window `json:"window,omitzero"`
	// Schedule narrows that of the right; empty: the right's alone.
	Schedule string `json:"schedule,omitempty"`
	// Kinds are the kinds of credential that may use it; none: every kind.
	Kinds        []CredentialKind `json:"kinds,omitempty"`
	Capabilities []Capability     `json:"capabilities,omitempty"`
	Source       Source           `json:"source"`
	State        GrantState       `json:"state"`
}

// MaxParents is how many grants may lie above one. More, as in a circle, deny.
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
