package domain

import (
	"encoding/base32"
	"errors"
	"slices"
)

// Gateway is a box at a site that opens doors. It proves who it is with the
// private half of its key, which never leaves it.
type Gateway struct {
	ID        ID            `json:"id"`
	Site      ID            `json:"site"`
	Name      string        `json:"name,omitempty"`
	PublicKey GatewayKey    `json:"public_key"`         // empty until it has enrolled
	OldKeys   []GatewayKey  `json:"old_keys,omitempty"` // that it had before, the first one first
	Retired   GatewayReason `json:"retired,omitempty"`  // why it serves no more, for good; empty: it serves
	Enrolment Enrolment     `json:"enrolment,omitzero"` // the code by which it may enrol; none: there is no unused one
	// EnrolledBy is the key of the code by which it last enrolled.
	EnrolledBy EnrolmentKey `json:"enrolled_by,omitempty"`
}

func (g *Gateway) keys() []key[Gateway] {
	k := []key[Gateway]{{GatewayBySite, g.Site}}
	if g.PublicKey != "" {
		k = append(k, key[Gateway]{gatewayByKey, ID(g.PublicKey)})
	}
	for _, old := range g.OldKeys {
		k = append(k, key[Gateway]{gatewayByKey, ID(old)})
	}
	return k
}

// takeKey gives the gateway another key. The one before never comes back.
func (g *Gateway) takeKey(key GatewayKey) {
	if g.PublicKey != "" && g.PublicKey != key {
		g.OldKeys = append(slices.Clip(g.OldKeys), g.PublicKey)
	}
	g.PublicKey = key
}

// GatewayKey is the public key of a gateway: the text form of an nkey of a user.
type GatewayKey string

// The parts of an nkey: base32 without padding of a byte that says what it is of,
// the 32 bytes of an Ed25519 public key, and a checksum of both, low byte first.
const (
	nkeyBytes = 1 + 32 + 2
	nkeyUser  = 20 << 3 // gives the letter U
)

func (k GatewayKey) check() error {
	if k == "" {
		return nil // a rule asks for it
	}
	raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(string(k))
	if err != nil || len(raw) != nkeyBytes || raw[0] != nkeyUser {
		return errors.New("it is not the public key of an nkey of a user, which has 56 letters and digits and begins with U")
	}
	if body := raw[:nkeyBytes-2]; crc16(body) != uint16(raw[nkeyBytes-2])|uint16(raw[nkeyBytes-1])<<8 {
		return errors.New("its checksum is wrong: a letter or digit was changed")
	}
	return nil
}

// crc16 is the checksum of nkeys: CRC-16/XMODEM, the polynomial 0x1021 from 0.
func crc16(data []byte) (crc uint16) {
	for _, b := range data {
		crc ^= uint16(b) << 8
		for range 8 {
			carry := crc & 0x8000
			crc <<= 1
			if carry != 0 {
				crc ^= 0x1021
			}
		}
	}
	return crc
}

// GatewayReason says why a gateway was retired.
type GatewayReason string

// The reasons to retire a gateway.
const (
	GatewayReplaced GatewayReason = "replaced" // another box does its work
	GatewayBroken   GatewayReason = "broken"
	GatewayRemoved  GatewayReason = "removed" // its doors are gone
	GatewayStolen   GatewayReason = "stolen"  // or out of sight for a while
)

func (r GatewayReason) check() error {
	return oneOf(r, GatewayReplaced, GatewayBroken, GatewayRemoved, GatewayStolen)
}

var gatewayMessages = messages{
	commands: []CommandType{
		command[RegisterGateway]("Registers a gateway of a site by its public key, with which it may connect; without one it gets a code by which it enrols.", GatewayRegistered{}),
		command[RotateGatewayKey]("Replaces the public key of a gateway. Without a key it gets a code, and the old key is valid until the code is used.", GatewayKeyRotated{}),
		command[EnrolGateway]("Gives a gateway the public key that its box has made, by a code.", GatewayEnrolled{}),
		command[RetireGateway]("Takes a gateway out of service for good: it is cut off. With a stolen one all PINs of its site end.", GatewayRetired{}, PinRevoked{}, PinLeaked{}),
		command[AssignDoorToGateway]("Assigns a door to the gateway that opens it; a door has one gateway.", GatewayDoorAssigned{}),
		command[RemoveDoorFromGateway]("Removes the gateway of a door.", GatewayDoorRemoved{}),
	},
	events: []EventType{event[GatewayRegistered](1), event[GatewayKeyRotated](1), event[GatewayEnrolled](1), event[GatewayRetired](1),
		event[GatewayDoorAssigned](1), event[GatewayDoorRemoved](1)},
}

// RegisterGateway registers a gateway of a site. The box makes its key, and only
// the public half is told: here, or by the box itself when it enrols.
type RegisterGateway struct {
	Gateway   ID         `json:"gateway,omitempty"` // empty: an id is made
	Site      ID         `json:"site"`
	Name      string     `json:"name,omitempty"`
	PublicKey GatewayKey `json:"public_key,omitempty"` // empty: the answer has a code by which the box enrols, good once and for a day
	madeCode
}

func (RegisterGateway) permit() Permit       { return Permit{Role: RoleSystemManager} }
func (c RegisterGateway) scope(*State) Scope { return atSites(c.Site) }
func (c RegisterGateway) decide(tx *Tx) *Refusal {
	if _, r := tx.Sites.find(c.Site, "site"); r != nil {
		return r
	}
	id := tx.idFor(c.Gateway, "gateway")
	if tx.Gateways.Has(id) {
		return refuse("gateway_exists", "gateway %s already exists; to change its key, send RotateGatewayKey", id).about(id)
	}
	e := GatewayRegistered{Gateway: id, Site: c.Site, Name: c.Name, PublicKey: c.PublicKey}
	if c.PublicKey == "" {
		e.Enrolment = tx.newCode(c.madeCode)
	}
	if r := tx.checkKeyOrCode(e.PublicKey, e.Enrolment); r != nil {
		return r
	}
	tx.emit(e)
	return nil
}

// checkKeyOrCode refuses a gateway that could never connect, and a key that is no new
// one.
func (tx *Tx) checkKeyOrCode(key GatewayKey, code Enrolment) *Refusal {
	if code.Key != "" {
		return nil
	}
	if r := required("public_key", string(key)); r != nil {
		return r
	}
	return tx.checkNewKey(key)
}

// checkNewKey refuses a key that is or was the key of a gateway. A key that was
// given up may be known to others, so it never comes back.
func (tx *Tx) checkNewKey(key GatewayKey) *Refusal {
	for id := range tx.Gateways.Each(gatewayByKey, ID(key)) {
		return refuse("gateway_key_used", "this key was already used by gateway %s; create a new key on the gateway", id).about(id)
	}
	return nil
}

// GatewayRegistered registers a gateway of a site.
type GatewayRegistered struct {
	Gateway   ID         `json:"gateway"`
	Site      ID         `json:"site"`
	Name      string     `json:"name,omitempty"`
	PublicKey GatewayKey `json:"public_key,omitempty"` // empty: it has yet to enrol
	Enrolment Enrolment  `json:"enrolment,omitzero"`   // the code by which it enrols; none with a key
}

func (e GatewayRegistered) fold(s *State, _ Moment) {
	s.Gateways.Put(e.Gateway, Gateway{ID: e.Gateway, Site: e.Site, Name: e.Name, PublicKey: e.PublicKey, Enrolment: e.Enrolment})
}
func (e GatewayRegistered) affectedSites(*State) []ID { return []ID{e.Site} }

// RotateGatewayKey gives a gateway another public key, or a code with which another box
// enrols in its place. A code that was given before is good no more.
type RotateGatewayKey struct {
	Gateway   ID         `json:"gateway"`
	PublicKey GatewayKey `json:"public_key,omitempty"` // empty: the answer has a code, good once and for a day; the key stays good until it is used
	madeCode
}

func (RotateGatewayKey) permit() Permit         { return Permit{Role: RoleSystemManager} }
func (c RotateGatewayKey) scope(s *State) Scope { return s.atGateway(c.Gateway) }
func (c RotateGatewayKey) decide(tx *Tx) *Refusal {
	g, r := tx.servingGateway(c.Gateway)
	if r != nil {
		return r
	}
	e := GatewayKeyRotated{Gateway: c.Gateway, PublicKey: c.PublicKey}
	switch {
	case c.PublicKey == "":
		e.Enrolment = tx.newCode(c.madeCode)
	case g.PublicKey != c.PublicKey:
	case g.Enrolment.Key == "":
		return nil
	default: // the key stays, and the code is taken back
		tx.emit(e)
		return nil
	}
	if r := tx.checkKeyOrCode(e.PublicKey, e.Enrolment); r != nil {
		return r
	}
	tx.emit(e)
	return nil
}

// servingGateway finds a gateway that is not retired, or refuses.
func (tx *Tx) servingGateway(id ID) (*Gateway, *Refusal) {
	g, r := tx.Gateways.find(id, "gateway")
	if r == nil && g.Retired != "" {
		return nil, refuse("gateway_retired", "gateway %s is retired; this is final: register another", id).about(id)
	}
	return g, r
}

// GatewayKeyRotated gives a gateway another public key; the one before is good no
// more. With a code in the place of the key, the one before is good until it is used.
type GatewayKeyRotated struct {
	Gateway   ID         `json:"gateway"`
	PublicKey GatewayKey `json:"public_key,omitempty"`
	Enrolment Enrolment  `json:"enrolment,omitzero"`
}

func (e GatewayKeyRotated) fold(s *State, _ Moment) {
	s.Gateways.Update(e.Gateway, func(g *Gateway) {
		if e.PublicKey != "" {
			g.takeKey(e.PublicKey)
		}
		g.Enrolment = e.Enrolment
	})
}
func (e GatewayKeyRotated) affectedSites(s *State) []ID { return s.atGateway(e.Gateway).Sites }

// RetireGateway takes a gateway out of service for good. Its doors are without a
// gateway until another is assigned, and PINs end whose uses it counted. With the
// reason stolen all PINs of its site end, and the site gets another key of tags;
// that may be found out later, of a gateway that was retired for another reason.
type RetireGateway struct {
	Gateway ID            `json:"gateway"`
	Reason  GatewayReason `json:"reason"`
}

func (RetireGateway) urgent() bool           { return true }
func (RetireGateway) permit() Permit         { return Permit{Role: RoleSystemManager} }
func (c RetireGateway) scope(s *State) Scope { return s.atGateway(c.Gateway) }
func (c RetireGateway) decide(tx *Tx) *Refusal {
	g, r := tx.Gateways.find(c.Gateway, "gateway")
	if r != nil {
		return r
	}
	if r := required("reason", string(c.Reason)); r != nil {
		return r
	}
	if g.Retired != "" && (c.Reason != GatewayStolen || g.Retired == GatewayStolen) {
		return nil
	}
	if c.Reason == GatewayStolen {
		tx.warnOfTheft(g.Site)
	}
	tx.emit(GatewayRetired(c))
	tx.settlePins(c.Gateway)
	return nil
}

// GatewayRetired takes a gateway out of service, and its doors from it. When it was
// stolen, that ends the PINs of its site and gives the site another key of tags.
type GatewayRetired struct {
	Gateway ID            `json:"gateway"`
	Reason  GatewayReason `json:"reason"`
}

func (e GatewayRetired) fold(s *State, _ Moment) {
	for _, door := range s.Doors.IDs(DoorByGateway, e.Gateway) {
		s.Doors.Update(door, func(d *Door) { d.Gateway = "" })
	}
	s.Gateways.Update(e.Gateway, func(g *Gateway) { g.Retired = e.Reason })
	if e.Reason == GatewayStolen {
		s.endLeaked(e.Gateway)
	}
	s.noteOwedGateway(e.Gateway)
}
func (e GatewayRetired) affectedSites(s *State) []ID { return s.atGateway(e.Gateway).Sites }

// AssignDoorToGateway says which gateway opens a door. A door that another gateway
// of the site opens is taken from that.
type AssignDoorToGateway struct {
	Gateway ID `json:"gateway"`
	Door    ID `json:"door"`
}

func (AssignDoorToGateway) permit() Permit         { return Permit{Role: RoleSystemManager} }
func (c AssignDoorToGateway) scope(s *State) Scope { return s.atGateway(c.Gateway) }
func (c AssignDoorToGateway) decide(tx *Tx) *Refusal {
	g, r := tx.servingGateway(c.Gateway)
	if r != nil {
		return r
	}
	door, r := tx.Doors.find(c.Door, "door")
	if r != nil {
		return r
	}
	if door.Site != g.Site {
		return refuse("other_site", "door %s is at site %s but gateway %s is at site %s; choose one of the same site", door.ID, door.Site, g.ID, g.Site).about(door.ID, g.ID)
	}
	if door.Gateway != g.ID {
		tx.warnOfHome(door)
		tx.emit(GatewayDoorAssigned(c))
	}
	return nil
}

// GatewayDoorAssigned says which gateway opens a door from now on.
type GatewayDoorAssigned struct {
	Gateway ID `json:"gateway"`
	Door    ID `json:"door"`
}

func (e GatewayDoorAssigned) fold(s *State, _ Moment) {
	s.Doors.Update(e.Door, func(d *Door) { d.Gateway = e.Gateway })
}
func (e GatewayDoorAssigned) affectedSites(s *State) []ID { return s.atDoor(e.Door).Sites }

// RemoveDoorFromGateway leaves a door without a gateway.
type RemoveDoorFromGateway struct {
	Gateway ID `json:"gateway"`
	Door    ID `json:"door"`
}

func (RemoveDoorFromGateway) urgent() bool           { return true }
func (RemoveDoorFromGateway) permit() Permit         { return Permit{Role: RoleSystemManager} }
func (c RemoveDoorFromGateway) scope(s *State) Scope { return s.atGateway(c.Gateway) }
func (c RemoveDoorFromGateway) decide(tx *Tx) *Refusal {
	if _, r := tx.Gateways.find(c.Gateway, "gateway"); r != nil {
		return r
	}
	door, r := tx.Doors.find(c.Door, "door")
	if r == nil && door.Gateway != "" && door.Gateway == c.Gateway {
		tx.warnOfHome(door)
		tx.emit(GatewayDoorRemoved(c))
	}
	return r
}

// GatewayDoorRemoved leaves a door without a gateway.
type GatewayDoorRemoved struct {
	Gateway ID `json:"gateway"`
	Door    ID `json:"door"`
}

func (e GatewayDoorRemoved) fold(s *State, _ Moment) {
	s.Doors.Update(e.Door, func(d *Door) { d.Gateway = "" })
}
func (e GatewayDoorRemoved) affectedSites(s *State) []ID { return s.atDoor(e.Door).Sites }

// atGateway is the scope of what concerns a gateway.
func (s *State) atGateway(id ID) Scope {
	g, unknown := s.Gateways.find(id, "gateway")
	if unknown != nil {
		return Scope{Unknown: unknown}
	}
	return atSites(g.Site)
}
