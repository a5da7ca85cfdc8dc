package domain

import (
	"iter"
	"maps"
	"slices"
)

// Index names one of the fields by which rows of T are found beside their id; 0 is none.
// The value is the id of the thing that gives the index its name, unless another is named.
type Index[T any] uint8

// Indexes of areas.
const (
	AreaBySite Index[Area] = iota + 1
)

// Indexes of bookings.
const (
	BookingByPerson Index[Booking] = iota + 1
	BookingBySite
	BookingByUnit
)

// Indexes of credentials.
const (
	CredentialByBooking Index[Credential] = iota + 1
	CredentialByPerson
	CredentialBySite
	CredentialByUnit
	credentialRoaming  // those known at no site of their own, by person
	credentialByNumber // live, denied or leaked ones, by numberAt
	credentialBound    // live ones, by booking
	pinBySite          // live ones
	pinByBeginning     // live and leaked ones that are longer than the digits, by numberAt
	pinCounted         // live ones whose uses a gateway counts, by that gateway
	pinPerGateway      // live ones with a number of uses that each gateway counts for itself, by ""
	pinLeaked          // those that ended with a stolen gateway while that is not on record, by that gateway; none for duress
	pinForDuress       // live and leaked ones, by the PIN that they belong to
)

// Indexes of doors.
const (
	DoorBySite Index[Door] = iota + 1
	DoorByArea
	DoorByGateway
	DoorBySchedule
	DoorByUnit
	doorWithCapacity // by ""
)

// Indexes of gateways.
const (
	GatewayBySite Index[Gateway] = iota + 1
	gatewayByKey                 // by present and former keys
)

// Indexes of explicit grants.
const (
	GrantByPerson Index[Grant] = iota + 1
	GrantByRight
	GrantBySchedule
	grantByAuction // those to buyers of what is in a unit that were not taken back, by unit
)

// Indexes of groups.
const (
	GroupByDoor Index[Group] = iota + 1
	GroupBySite
)

// Indexes of members of groups.
const (
	MemberByGroup Index[GroupMember] = iota + 1
	MemberByPerson
	OwnerByGroup
	memberLimited // those who may have a door from one group only (rules G8 and G9), by group
)

// Indexes of pending consequences.
const (
	pendingByRight Index[Pending] = iota + 1
)

// Indexes of people.
const (
	personByEmail Index[Person] = iota + 1 // by normalEmail; in memory only
	personByPhone                          // by normalPhone; in memory only
)

// Indexes of reviews.
const (
	ReviewByRight Index[Review] = iota + 1
	ReviewByUnit
	reviewOpen   // by ""
	reviewOpenOf // of a right of a unit user, one at most; by userRight
)

// Indexes of access rights.
const (
	RightByDoor Index[AccessRight] = iota + 1
	RightBySchedule
	RightBySite
)

// Indexes of roles.
const (
	RoleByPerson Index[RoleAssignment] = iota + 1
	RoleBySite
	roleOfOwner // by site; "" for the org
)

// Indexes of shares.
const (
	ShareByBooking Index[Share] = iota + 1
	ShareByPerson
	ShareByUnit
	shareActive   // by booking
	shareReshared // active ones of what had been shared, by booking
)

// Indexes of sites.
const (
	siteBySchedule Index[Site] = iota + 1
)

// Indexes of tokens.
const (
	TokenByPerson Index[Token] = iota + 1
	tokenByHash
	tokenByIssuer
)

// Indexes of units.
const (
	UnitByRight Index[Unit] = iota + 1
	UnitBySchedule
	UnitBySite
	unitWithPrivacy // those that have, or had, privacy; by ""
)

// Indexes of unit users.
const (
	UnitUserByPerson Index[UnitUser] = iota + 1
	UnitUserByRight
	UnitUserByUnit
	unitUserActive  // by booking
	unitUserLimited // active ones whose access has a schedule of its own, by right
)

// Indexes of requests to open a door.
const (
	UnlockRequestByDoor Index[UnlockRequest] = iota + 1
	UnlockRequestByPerson
	unlockPending   // without an outcome, by ""
	unlockPendingBy // without an outcome, by person
)

// numberAt is the value by which a number is found at a site.
func numberAt(site ID, format, number string) ID {
	return site + ":" + ID(format) + ":" + ID(number)
}

// userRight is the value by which the open review of a unit user's right is found.
func userRight(user, right ID) ID { return user + "/" + right }

// key is a value of a row by which an index finds it.
type key[T any] struct {
	index Index[T]
	value ID
}

// idSet is a set of ids. Most sets of an index have one element, which needs no map.
type idSet struct {
	one  ID              // empty: none; while there is no map
	more map[ID]struct{} // all; it stays until the set is empty
}

func (s idSet) len() int {
	if s.more == nil && s.one != "" {
		return 1
	}
	return len(s.more)
}

func (s idSet) with(id ID) idSet {
	switch {
	case s.more != nil:
		s.more[id] = struct{}{}
	case s.one == "" || s.one == id:
		s.one = id
	default:
		s = idSet{more: map[ID]struct{}{s.one: {}, id: {}}}
	}
	return s
}

func (s idSet) without(id ID) idSet {
	if s.one == id {
		return idSet{}
	}
	delete(s.more, id)
	return s
}

func (s idSet) clone() idSet { return idSet{s.one, maps.Clone(s.more)} }

// all yields the ids in no order.
func (s idSet) all() iter.Seq[ID] {
	return func(yield func(ID) bool) {
		if s.one != "" {
			yield(s.one)
			return
		}
		for id := range s.more {
			if !yield(id) {
				return
			}
		}
	}
}

func (t *table[T]) addKeys(id ID, r *row[T]) {
	if t.keys == nil || r == nil {
		return
	}
	for _, k := range t.keys(&r.v) {
		t.index[k] = t.index[k].with(id)
	}
}

func (t *table[T]) dropKeys(id ID, r *row[T]) {
	if t.keys == nil || r == nil {
		return
	}
	for _, k := range t.keys(&r.v) {
		if ids := t.index[k].without(id); ids.len() > 0 {
			t.index[k] = ids
		} else {
			delete(t.index, k)
		}
	}
}

// reindex rebuilds the indexes, after values were opened in place.
func (t *table[T]) reindex() {
	t.index = map[key[T]]idSet{}
	rows := t.rows
	t.rows = map[ID]*row[T]{}
	for id, r := range rows {
		t.replace(id, nil, r)
	}
}

// IDs returns the ids of the rows with a value, sorted.
func (t *table[T]) IDs(x Index[T], value ID) []ID {
	return slices.Sorted(t.index[key[T]{x, value}].all())
}

// Count returns the number of the rows with a value, hidden ones among them.
func (t *table[T]) Count(x Index[T], value ID) int { return t.index[key[T]{x, value}].len() }

// HasBy reports whether any row has a value.
func (t *table[T]) HasBy(x Index[T], value ID) bool {
	return t.Any(x, value, func(*T) bool { return true })
}

// Any reports whether any row with a value is as asked.
func (t *table[T]) Any(x Index[T], value ID, is func(*T) bool) bool {
	for _, r := range t.unsorted(x, value) {
		if is(r) {
			return true
		}
	}
	return false
}

// Each yields the rows with a value in the order of their ids. It skips rows that are
// deleted meanwhile.
func (t *table[T]) Each(x Index[T], value ID) iter.Seq2[ID, *T] {
	return func(yield func(ID, *T) bool) {
		for _, id := range t.IDs(x, value) {
			if r, ok := t.Get(id); ok && !yield(id, r) {
				return
			}
		}
	}
}

// unsorted yields the rows with a value in no order: for answers that no order can
// change, without the cost of sorting.
func (t *table[T]) unsorted(x Index[T], value ID) iter.Seq2[ID, *T] {
	return func(yield func(ID, *T) bool) {
		for id := range t.index[key[T]{x, value}].all() {
			if r, ok := t.Get(id); ok && !yield(id, r) {
				return
			}
		}
	}
}
