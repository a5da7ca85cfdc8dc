package schemas

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/schemas/wire"
)

func TestFieldsAreTakenByTheirNameAndOnce(t *testing.T) {
	for name, c := range map[string]struct{ body, says string }{
		"CreateSite":        {`{"site":"north","Name":"N","zone":"UTC"}`, "Name: unknown field; write name"},
		"RenameSite":        {`{"site":"north","name":"A","name":"B"}`, "name: the field is given twice"},
		"RegisterPerson":    {`{"person":"a","n\u0061me":"A","name":"B"}`, "name: the field is given twice"},
		"SetSitePolicy":     {`{"site":"north","policy":{"fob_schedule":"a","FOB_SCHEDULE":"b"}}`, "policy.FOB_SCHEDULE: unknown field; write fob_schedule"},
		"DefineSchedule":    {`{"schedule":"s","windows":[{"days":["mon"]},{"Days":["tue"]}]}`, ""},
		"CreateDoor":        {`{"door":"d","site":"s","ſite":"t"}`, "ſite: unknown field; write site"},
		"SuspendPerson":     {`{"person":"a","person":"a"}`, "person: the field is given twice"},
		"DefineAccessRight": {`{"right":"r","name":"R","doors":["a","a"],"schedule":"always"}`, ""},
		"ChangeDoor":        {`{"door":"gate","name":null}`, "name: it cannot be cleared"},
		"ChangePerson":      {`{"person":"a","email":null,"Phone":null}`, "Phone: unknown field; write phone"},
		"ReinstatePerson":   {`{"person":{"x":1,"x":2}}`, "person.x: the field is given twice"},
		"RecordOverride":    {`{"setting":"a"`, "unexpected EOF"},
	} {
		typ, ok := domain.CommandNamed(name)
		require.True(t, ok, name)
		_, err := DecodeCommands(typ, []byte(c.body))
		if c.says == "" {
			continue // whatever else is said of it
		}
		assert.ErrorContains(t, err, c.says, name)
		_, err = DecodeCommands(typ, []byte("["+c.body+"]"))
		if name != "RecordOverride" {
			assert.ErrorContains(t, err, "entry 0: ", name)
		}
	}
}

func TestLettersThatADecoderWouldLoseAreRefused(t *testing.T) {
	for body, says := range map[string]string{
		"{\"person\":\"a\",\"name\":\"J\xfcrgen\"}":  `byte 23 (0xfc) is not UTF-8`,
		`{"person":"a","name":"x\ud800"}`:            `byte 23: \ud800 is half of a character`,
		`{"person":"a","name":"x\udc00\ud800"}`:      `byte 23: \udc00 is half of a character`,
		`{"person":"a","name":"x\ud800\u0041"}`:      `byte 23: \ud800 is half of a character`,
		`{"person":"a","name":"x\uD800y"}`:           `byte 23: \ud800 is half of a character`,
		`{"person":"a","n\ud83d":"x"}`:               `\ud83d is half of a character`,
		`{"person":"a","name":"\ud83d\ude00\ud83d"}`: `\ud83d is half of a character`,
	} {
		assert.ErrorContains(t, wire.CheckText([]byte(body)), says, body)
		typ, _ := domain.CommandNamed("RegisterPerson")
		_, err := DecodeCommands(typ, []byte(body))
		assert.ErrorContains(t, err, says, body)
	}
	for _, body := range []string{`{"name":"\ud83d\ude00 \\ud800 \u00fc \uFFFF"}`, `"\\\ud83d\udE00"`, `"\u12`, `"\`, `{}`, "\"J\u00fcrgen\"", ""} {
		assert.NoError(t, wire.CheckText([]byte(body)), body)
	}
}
