package uhppote

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/gateways/driver"
	"gatehouse/schemas/wire"
)

func TestSettingsAreChecked(t *testing.T) {
	const door = `{"board":423187757,"door":1}`
	for want, c := range map[string]struct{ driver, gate, lift string }{
		"there are no settings":                                                   {``, door, ``},
		"zone is missing":                                                         {`{}`, door, ``},
		`there is no zone "Berlin"`:                                               {`{"zone":"Berlin"}`, door, ``},
		`unknown field "zones"`:                                                   {`{"zones":"Europe/Berlin"}`, door, ``},
		"there is text behind":                                                    {`{"zone":"Europe/Berlin"} {}`, door, ``},
		"did you mean wiegand26?":                                                 {`{"zone":"Europe/Berlin","format":"wiegand-26"}`, door, ``},
		"too few for wiegand37":                                                   {`{"zone":"Europe/Berlin","format":"wiegand37"}`, door, ``},
		`bind: "eth0" is no IPv4 address`:                                         {`{"zone":"Europe/Berlin","bind":"eth0"}`, door, ``},
		`listen: "0.0.0.0:60000" is no IPv4 address`:                              {`{"zone":"Europe/Berlin","listen":"0.0.0.0:60000"}`, door, ``},
		`broadcast: "all" is no IPv4 address`:                                     {`{"zone":"Europe/Berlin","broadcast":"all"}`, door, ``},
		"poll_ms: 20000 is not within 50 and 10000":                               {`{"zone":"Europe/Berlin","poll_ms":20000}`, door, ``},
		`boards.423187757.transport: "usb"`:                                       {`{"zone":"Europe/Berlin","boards":{"423187757":{"transport":"usb"}}}`, door, ``},
		`boards.423187757.address: "gate" is no IPv4 address`:                     {`{"zone":"Europe/Berlin","boards":{"423187757":{"address":"gate"}}}`, door, ``},
		"boards.405419896: no door names this board":                              {`{"zone":"Europe/Berlin","boards":{"405419896":{}}}`, door, ``},
		"no door names the board 405419896":                                       {`{"zone":"Europe/Berlin","fire_board":405419896}`, door, ``},
		"door gate: board is missing":                                             {`{"zone":"Europe/Berlin"}`, `{"door":1}`, ``},
		"door gate: door is 1 to 4, not 5":                                        {`{"zone":"Europe/Berlin"}`, `{"board":423187757,"door":5}`, ``},
		"door lift: it is door 1 of the board 423187757, and so is the door gate": {`{"zone":"Europe/Berlin"}`, door, door},
	} {
		s := driver.Settings{Driver: json.RawMessage(c.driver), Doors: map[wire.ID]json.RawMessage{"gate": json.RawMessage(c.gate)}}
		if c.lift != "" {
			s.Doors["lift"] = json.RawMessage(c.lift)
		}
		_, err := Open(s)
		assert.ErrorContains(t, err, want)
	}
}

func TestExampleOfTheReadmeIsTaken(t *testing.T) {
	for name, d := range examples(t) {
		_, err := Open(driver.Settings{Driver: d, Doors: map[wire.ID]json.RawMessage{
			"gate": json.RawMessage(`{"board":423187757,"door":1}`), "lift": json.RawMessage(`{"board":225419896,"door":2,"contact":false}`)}})
		require.NoError(t, err, name)
	}
}

// examples gives the settings in the README.
func examples(t *testing.T) map[string]json.RawMessage {
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	out := map[string]json.RawMessage{}
	for i, part := range strings.Split(string(text), "```json\n")[1:] {
		body, _, _ := strings.Cut(part, "```")
		if strings.Contains(body, `"zone"`) {
			out[strconv.Itoa(i)] = json.RawMessage(body)
		}
	}
	require.NotEmpty(t, out)
	return out
}
