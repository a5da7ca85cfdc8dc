package input

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/cmd/gatehouse/client"
	"gatehouse/domain/schedule"
)

// berlin is the clock of a site in Berlin.
func berlin(t *testing.T) *Clock {
	t.Helper()
	rules, err := schedule.LoadRules("Europe/Berlin")
	require.NoError(t, err)
	return &Clock{Zone: func(context.Context) (*schedule.Zone, error) { return rules.Compile(), nil }}
}

// assigned reads fields of the command line into those of a command.
func assigned(t *testing.T, command string, args ...string) (string, error) {
	t.Helper()
	shape, err := ShapeOf(command)
	require.NoError(t, err)
	given, err := ReadAssignments(args)
	if err != nil {
		return "", err
	}
	fields := map[string]any{}
	a := Assigner{command, shape, berlin(t)}
	for _, x := range given {
		if err := a.Assign(t.Context(), fields, x); err != nil {
			return "", err
		}
	}
	b, err := json.Marshal(fields)
	require.NoError(t, err)
	return string(b), nil
}

func isUsage(err error) bool {
	_, ok := errors.AsType[*client.UsageError](err)
	return ok
}

func TestFieldsOfTheCommandLine(t *testing.T) {
	for _, c := range []struct {
		command string
		args    []string
		want    string
	}{
		{"CreateUnit", []string{"site=north", "unit=12", "name=12"}, `{"name":"12","site":"north","unit":"12"}`},
		{"CreateUnit", []string{"name=a=b, c"}, `{"name":"a=b, c"}`},
		{"DefineAccessRight", []string{"doors=gate, lift"}, `{"doors":["gate","lift"]}`},
		{"DefineAccessRight", []string{`doors=["gate"]`}, `{"doors":["gate"]}`},
		{"DefineAccessRight", []string{"doors="}, `{"doors":[]}`},
		{"DefineAccessRight", []string{"doors[0]=gate", "doors[1]=lift"}, `{"doors":["gate","lift"]}`},
		{"SetNotification", []string{"enabled=true"}, `{"enabled":true}`},
		{"SetSitePolicy", []string{"policy.share_depth=2", "policy.consent=required"}, `{"policy":{"consent":"required","share_depth":2}}`},
		{"MapUnitAccess", []string{"rights[0].right=r1", "rights[0].schedule=always", "rights[1].right=r2"},
			`{"rights":[{"right":"r1","schedule":"always"},{"right":"r2"}]}`},
		{"DefineSchedule", []string{`times={"always":true}`}, `{"times":{"always":true}}`},
		{"DefineSchedule", []string{"times.windows[0].days=mon,tue", "times.windows[0].from=08:30"},
			`{"times":{"windows":[{"days":["mon","tue"],"from":"08:30"}]}}`},
		{"SuspendCredential", []string{"until=2026-03-02T08:30:00+01:00"}, `{"until":"2026-03-02T08:30:00+01:00"}`},
		{"SuspendCredential", []string{"until=2026-03-02T08:30"}, `{"until":"2026-03-02T07:30:00Z"}`},
		{"SuspendCredential", []string{"until=2026-07-02 08:30:15"}, `{"until":"2026-07-02T06:30:15Z"}`},
		{"SuspendCredential", []string{"until=2026-07-02"}, `{"until":"2026-07-01T22:00:00Z"}`},
		{"SuspendCredential", []string{"until=2026-12-03 8:00"}, `{"until":"2026-12-03T07:00:00Z"}`},
		{"SuspendCredential", []string{"until=2026-12-03T18:00+01:00"}, `{"until":"2026-12-03T18:00:00+01:00"}`},
		{"SuspendCredential", []string{"until=2026-12-03 18:00 +01:00"}, `{"until":"2026-12-03T18:00:00+01:00"}`},
		{"SuspendCredential", []string{"until=2026-12-03t18:00:00.5z"}, `{"until":"2026-12-03T18:00:00.5Z"}`},
		{"DefineSchedule", []string{"times.windows[0].days=Monday,TUE, sunday,holiday", "times.windows[0].from=8:00"},
			`{"times":{"windows":[{"days":["mon","tue","sun","holiday"],"from":"08:00"}]}}`},
		{"DefineSchedule", []string{"times.windows[0].days[0]=Mon"}, `{"times":{"windows":[{"days":["mon"]}]}}`},
		{"DefineSchedule", []string{`times={"windows":[{"days":["Wed"],"from":"8:00","to":"9:30"}],"holidays":"Closed"}`},
			`{"times":{"windows":[{"days":["wed"],"from":"08:00","to":"09:30"}],"holidays":"closed"}}`},
		{"SetBlackout", []string{"from=2026-12-24 18:00", "to=2026-12-26T8:00"}, `{"from":"2026-12-24T18:00","to":"2026-12-26T08:00"}`},
		{"SetBlackout", []string{"from=2026-12-24T18:00:00Z"}, `{"from":"2026-12-24T19:00"}`},
		{"CreateBooking", []string{"from=2026-07-02"}, `{"from":"2026-07-02"}`},
	} {
		got, err := assigned(t, c.command, c.args...)
		require.NoError(t, err, "%v", c.args)
		assert.JSONEq(t, c.want, got, "%v", c.args)
	}
}

func TestFieldsThatAreWrongAreNamed(t *testing.T) {
	for _, c := range []struct{ command, arg, says string }{
		{"CreateUnit", "site", `"site": fields are written key=value`},
		{"CreateUnit", "nmae=x", "CreateUnit has no field nmae (did you mean name?); there are name, site, door, right, rights, schedule, unit"},
		{"CreateUnit", "name.first=x", "has no field first"},
		{"CreateUnit", "name[0]=x", "has no list there"},
		{"CreateUnit", "=x", "is no field"},
		{"MapUnitAccess", "rights[1].right=x", "the entry 0 comes before the entry 1"},
		{"MapUnitAccess", "rights[x].right=x", "counted from 0"},
		{"MapUnitAccess", "rights[-1].right=x", "counted from 0"},
		{"MapUnitAccess", "rights[1000].right=x", "counted from 0"},
		{"SetNotification", "enabled=yes", `"yes" is neither true nor false`},
		{"SetNotification", "kind=other", `"other" is none of shared_access`},
		{"MapUnitAccess", `rights=[{"rihgt":"r1"}]`, "rights[0].rihgt: MapUnitAccess has no field rihgt (did you mean right?); there are right, schedule"},
		{"MapUnitAccess", `rights[0]={"right":"a","right":"b"}`, "rights[0]: right: the field is given twice"},
		{"MapUnitAccess", `rights=[{]`, "write it as JSON"},
		{"DefineSchedule", `times={"windows":[{"form":"08:00"}]}`, "times.windows[0].form: DefineSchedule has no field form (did you mean from?)"},
		{"DefineSchedule", `times={"valid_until":"soon"}`, `times.valid_until: "soon" is no date`},
		{"SetBlackout", "from=2026-12-24", "is no date with a time of whole minutes"},
		{"SuspendCredential", "until=tomorrow", `"tomorrow" is no time`},
		{"SuspendCredential", "until=2026-03-29T02:30", "does not exist in Europe/Berlin"},
		{"SuspendCredential", "until=2026-10-25T02:30", "exists twice in Europe/Berlin"},
	} {
		_, err := assigned(t, c.command, c.arg)
		require.Error(t, err, c.arg)
		assert.Contains(t, err.Error(), c.says)
		assert.True(t, isUsage(err), c.arg)
	}
}

// A field that is given twice is refused: nobody knows which of the two is meant.
func TestFieldGivenTwiceIsRefused(t *testing.T) {
	for _, args := range [][]string{{"person=a", "person=b"}, {"person=a", "name=x", "person=b"}} {
		_, err := assigned(t, "RegisterPerson", args...)
		require.ErrorContains(t, err, `person is given twice, as "a" and as "b"`)
		assert.True(t, isUsage(err))
	}
	_, err := assigned(t, "MapUnitAccess", "rights[0].right=a", "rights[00].right=b")
	require.ErrorContains(t, err, "is given twice")
	_, err = assigned(t, "MapUnitAccess", "rights[0].right=a", "rights[1].right=a")
	require.NoError(t, err)
}

func TestATimeWithoutAnOffsetNeedsASite(t *testing.T) {
	c := client.New("http://127.0.0.1:1", "gh.acme.t.s", "acme", "")
	_, err := SiteClock(c).Read(t.Context(), "2026-03-02T08:30")
	require.ErrorContains(t, err, "name the site with --site")
	assert.True(t, isUsage(err))
	at, err := SiteClock(c).Read(t.Context(), "2026-03-02T08:30:00Z")
	require.NoError(t, err, "with an offset nothing is asked")
	assert.Equal(t, "2026-03-02T08:30:00Z", at.Format("2006-01-02T15:04:05Z07:00"))
}
