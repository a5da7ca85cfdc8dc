package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
)

func TestAnAnswerIsASentence(t *testing.T) {
	for answer, want := range map[string]string{
		`{"position":"1-3","events":[{"type":"site.created","data":{"site":"north"}},{"type":"zone_rules.set","data":{"site":"north"}}]}`: "site north created, 1-3\n",
		`{"position":"1-9","events":[{"type":"pin.issued","data":{"credential":"c-1","number":"085951","person":"anna"}}]}`:               "PIN 085951 for anna, shown once, 1-9\n",
		`{"position":"1-9","events":[{"type":"pin.issued","data":{"credential":"c-1","number":null,"person":"anna"}}]}`:                   "PIN c-1 issued for anna, 1-9\n",
		`{"position":"1-9","events":[{"type":"pin.rotated","data":{"credential":"c-1","number":"4711"}}]}`:                                "PIN 4711, shown once, 1-9\n",
		`{"position":"1-5","events":[{"type":"role.assigned","data":{"person":"vera","role":"staff","site":"north"}}]}`:                   "role assigned for vera, site north, 1-5\n",
		`{"position":"1-5","events":[{"type":"right.granted","data":{"grant":"g-1","person":"vera","right":"entries"}}]}`:                 "grant g-1 made for vera, right entries, 1-5\n",
		`{"position":"1-5","events":[{"type":"ownership.transferred","data":{"from":"olga","to":"vera"}}]}`:                               "ownership transferred to vera, 1-5\n",
		`{"position":"1-5","events":[]}`: "nothing changed: door gate is already disabled, 1-5\n",
		`{"position":"1-5","repeated":true,"events":[{"type":"door.disabled","data":{"door":"gate"}}]}`:                                                                                                                           "nothing changed: this key was used before; at that time: door gate disabled, 1-5\n",
		`{"position":"1-7","events":[{"type":"booking.revoked","data":{"booking":"b"}},{"type":"share.ended","data":{"share":"s"}},{"type":"share.ended","data":{"share":"t"}}]}`:                                                 "booking b revoked; 2 shares ended, 1-7\n",
		`{"position":"1-7","events":[{"type":"person.registered","data":{"person":"a"}},{"type":"person.registered","data":{"person":"b"}}]}`:                                                                                     "2 people registered, 1-7\n",
		`{"position":"1-7","events":[{"type":"person.registered","data":{"person":"p-1","pending":true,"email":"v@example.org"}},{"type":"share.created","data":{"share":"s","person":"p-1","booking":"b"}}]}`:                    "person p-1 registered (v@example.org); share s created for v@example.org, booking b, 1-7\n",
		`{"position":"1-7","events":[{"type":"door.disabled","data":{"door":"a"}}],"enforced":"everywhere"}`:                                                                                                                      "door a disabled, 1-7\nevery gateway enforces it\n",
		`{"position":"1-7","events":[{"type":"door.disabled","data":{"door":"a"}}],"enforced":"no_gateway"}`:                                                                                                                      "door a disabled, 1-7\nno gateway has a door there: the service decides, and enforces it\n",
		`{"position":"1-7","events":[],"enforced":"nothing_changed"}`:                                                                                                                                                             "nothing changed: door gate is already disabled, 1-7\nno permissions changed, so gateways have nothing to enforce\n",
		`{"position":"1-7","events":[{"type":"door.disabled","data":{"door":"a"}}],"enforced":"pending","may_open_until":"2026-03-02T09:15:00Z","missing":[{"gateway":"cabinet","state":"offline"}]}`:                             "door a disabled, 1-7\nnot enforced yet by gateway cabinet (offline): doors may open as before, until 2026-03-02T09:15:00Z at the latest\n",
		`{"position":"1-7","at":"2026-03-02T09:16:00Z","events":[{"type":"door.disabled","data":{"door":"a"}}],"enforced":"pending","may_open_until":"2026-03-02T09:15:00Z","missing":[{"gateway":"cabinet","state":"offline"}]}`: "door a disabled, 1-7\nnot enforced yet by gateway cabinet (offline): no door opens as before, as the leases are over\n",
		`{"position":"1-7","events":[{"type":"door.disabled","data":{"door":"a"}}],"enforced":"pending","missing_doors":["gate"]}`:                                                                                                "door a disabled, 1-7\nnot enforced yet by door gate: doors may open as before, with no end that is known\n",
		`{"position":"1-7","events":[{"type":"door.later","data":{"door":"a"}}]}`:                                                                                                                                                 "door later, door a, 1-7\n",
		`{"position":"1-7","events":[{"type":"door.disabled","data":{"door":"a"}}],"warnings":[{"code":"w","message":"look at b"}]}`:                                                                                              "door a disabled, 1-7\nwarning: look at b (w)\n",
	} {
		var out bytes.Buffer
		require.NoError(t, (&world{stdout: &out}).tellAnswer([]byte(answer), false, sentCommand{"DisableDoor", []byte(`{"door":"gate"}`)}))
		assert.Equal(t, want, out.String())
	}
}

func TestACommandWithoutEffectSaysWhatIsSoAlready(t *testing.T) {
	for _, c := range []struct{ name, body, want string }{
		{"RevokeBooking", `{"booking":"b-1","cause":"unpaid"}`, "booking b-1 is already revoked"},
		{"ChangeDoor", `{"door":"gate","name":"Gate"}`, "door gate is already as asked"},
		{"ChangeBookingWindow", `{"booking":"b-1","until":null}`, "booking b-1 is already as asked"},
		{"AssignRole", `{"person":"vera","role":"staff","site":"north"}`, "role is already assigned for vera, site north"},
		{"RevokeToken", `[{"token":"t-1"}]`, "all that was asked for is so already"},
		{"CommandOfALaterService", `{}`, "all that was asked for is so already"},
	} {
		assert.Equal(t, c.want, sentCommand{c.name, []byte(c.body)}.alreadySo(), c.name)
	}
	for _, typ := range domain.Commands() {
		assert.NotEmpty(t, sentCommand{typ.Name, []byte(`{}`)}.alreadySo(), typ.Name)
	}
}

// Every event of the vocabulary has a sentence that names what it is about.
func TestEveryEventHasASentence(t *testing.T) {
	for _, typ := range domain.Events() {
		own := ownField(typ.Name)
		require.NotEmpty(t, own, typ.Name)
		said := toldEvent{typ.Name, map[string]any{own: "the-id", "to": "the-id"}}.sentence(nil)
		assert.Contains(t, said, "the-id", typ.Name)
		assert.NotContains(t, said, "  ", typ.Name)
	}
}
