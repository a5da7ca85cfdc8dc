package control

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/schemas/wire"
)

// issue gives somebody a PIN with digits of its own.
func (b *bed) issue(credential, person domain.ID) (digits string) {
	b.t.Helper()
	c := &domain.IssuePin{Credential: credential, Person: person, Sites: []domain.ID{"north"}}
	n, size := c.Candidates()
	all := make([]string, n)
	for i := range all {
		hash := wire.HashOf(fmt.Append(nil, credential, i))
		for _, c := range hash[:size] {
			all[i] += string('0' + rune(c%10))
		}
	}
	c.SetCandidates(all)
	for _, e := range b.first.execute(b.request(c)).Opened {
		if issued, ok := e.(domain.PinIssued); ok {
			digits = issued.Number.Text()
		}
	}
	require.NotEmpty(b.t, digits)
	return digits
}

// A gateway is told the digits of PINs that a device of its own has to know. Others it is
// not told, and nobody else can read the answer.
func TestAGatewayIsToldThePINsOfItsDevicesAlone(t *testing.T) {
	b := newBed(t)
	run := func(fields any) { t.Helper(); b.first.execute(b.request(fields)) }
	run(&domain.CreateDoor{Door: "lock", Site: "north", Name: "Lock", Kind: domain.DoorGate, Capacity: 10})
	run(&domain.CreateDoor{Door: "elsewhere", Site: "north", Name: "Elsewhere", Kind: domain.DoorGate, Capacity: 10})
	run(&domain.AssignDoorToGateway{Gateway: "cabinet", Door: "lock"})
	run(&domain.DefineAccessRight{Right: "locked", Name: "Locked", Doors: []domain.ID{"lock"}, Schedule: "always"})
	for _, person := range []domain.ID{"ann", "bob"} {
		run(&domain.RegisterPerson{Person: person, Name: domain.Clear(string(person))})
		run(&domain.AssignRole{Person: person, Role: domain.RoleStaff, Site: "north"})
	}
	run(&domain.GrantRight{Grant: "anns", Person: "ann", Right: "locked"})
	digits := b.issue("anns-pin", "ann")
	b.issue("bobs-pin", "bob")
	run(&domain.AssignFob{Credential: "anns-fob", Person: "ann", Sites: []domain.ID{"north"}, Number: domain.Clear("424242")})

	g := b.gateway(silence)
	box, err := nkeys.CreateCurveKeys()
	require.NoError(t, err)
	public, err := box.PublicKey()
	require.NoError(t, err)
	ask := func(door wire.ID, key nkeys.KeyPair, ids ...string) (map[wire.ID]string, error) {
		t.Helper()
		a := wire.Ask{Type: wire.AskPins, Door: door, Box: public}
		a.Proof, err = key.Sign(wire.PinStatement("acme", "cabinet", door, public))
		require.NoError(t, err)
		var lines [][]byte
		for _, id := range ids {
			lines = append(lines, []byte(id))
		}
		answer, sealed, err := g.ask(a, lines...)
		if err != nil {
			return nil, err
		}
		require.Len(t, sealed, 1)
		body, err := base64.StdEncoding.DecodeString(string(sealed[0]))
		require.NoError(t, err)
		assert.NotContains(t, string(body), digits)
		body, err = box.Open(body, answer.From)
		require.NoError(t, err)
		told := map[wire.ID]string{}
		return told, json.Unmarshal(body, &told)
	}
	told, err := ask("lock", b.key, "anns-pin", "bobs-pin", "anns-fob", "nobodys", "no id", strings.Repeat("x", 10_000))
	require.NoError(t, err)
	assert.Equal(t, map[wire.ID]string{"anns-pin": digits}, told)

	for _, door := range []wire.ID{"gate", "elsewhere", "nowhere", ""} { // no capacity, another's, none
		_, err = ask(door, b.key, "anns-pin")
		assert.Equal(t, wire.AskMalformed, code(err), door)
	}
	_, err = ask("lock", b.key)
	assert.Equal(t, wire.AskMalformed, code(err))
	_, err = ask("lock", b.key, make([]string, wire.MaxPins+1)...)
	assert.Equal(t, wire.AskMalformed, code(err))
	stranger, err := nkeys.CreateUser()
	require.NoError(t, err)
	_, err = ask("lock", stranger, "anns-pin")
	assert.Equal(t, wire.AskMalformed, code(err))

	run(&domain.RevokeRight{Grant: "anns"})
	told, err = ask("lock", b.key, "anns-pin")
	require.NoError(t, err)
	assert.Empty(t, told)
	run(&domain.RetireGateway{Gateway: "cabinet", Reason: domain.GatewayReplaced})
}
