package domain

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/tools/txtar"
)

// resolved lists the questions that the rules of the field leave open. They are by
// family of the rule, each with the specification of its answer.
var resolved = []struct{ family, question, shownBy string }{
	{"F", "primary tenant here, shared user there", "F-resolution-fob-at-another-booking"},
	{"F", "vendors and employees", "F-resolution-service-fobs"},
	{"F", "delinquent or moved-out holder", "F-resolution-fobs-end-with-the-booking"},
	{"F", "a deny list for gateways that hold fobs", "F-resolution-deny-list"},
	{"F", "which schedule a fob follows", "F-resolution-fob-schedule"},
	{"F", "who pairs it: consent", "F-resolution-consent"},
	{"F", "holder no longer primary", "F-resolution-holder-no-longer-primary"},
	{"F", "reuse of a number", "F-resolution-one-live-fob-per-number"},
	{"G", "an overlap made from the other side", "G9-a-door-in-two-groups-is-had-from-one"},
	{"G", "whether the toggle binds owners", "G5-admins-change-settings-while-the-group-lets-them"},
	{"G", "an own grant and a group", "G-resolution-a-grant-and-a-group-add-up"},
	{"G", "windows that overlap within a schedule", "schedule-windows-do-not-overlap"},
	{"G", "last owner and transfer", "G-resolution-a-group-has-an-owner"},
	{"G", "first-in", "G-resolution-business-hours-wait-for-the-first-in"},
	{"G", "overlap forbidden or union", "G-resolution-the-site-says-whether-groups-may-overlap"},
	{"B", "dates without time or zone", "B4-a-share-opens-in-its-time-alone"},
	{"B", "a share longer than its booking", "B-resolution-a-share-lasts-no-longer-than-its-booking"},
	{"B", "a booking that is extended", "B-resolution-extending-a-booking-extends-no-share"},
	{"B", "suspended is reversible", "B-resolution-a-suspended-booking-suspends-its-shares"},
	{"B", "revoked is final", "booking-that-ended-is-not-revived"},
	{"B", "suspension is per booking", "B-resolution-suspension-is-of-one-booking"},
	{"B", "after move-out", "B-resolution-a-unit-is-checked-after-move-out"},
	{"B", "a sharee shares on", "B-resolution-shared-access-is-not-shared-on"},
	{"B", "a sharee without an account", "B-resolution-a-pending-person-opens-nothing"},
	{"B", "the same share twice, and with oneself", "B-resolution-the-same-share-twice"},
	{"B", "all or nothing", "B-resolution-sharing-is-all-or-nothing"},
	{"B", "sharing with staff", "B-resolution-sharing-with-staff"},
	{"U", "what opens between reduction and review", "U-resolution-what-opens-is-the-narrowest-of-the-chain"},
	{"U", "live link and own copy, and a parent that widens", "U-resolution-a-limited-schedule-keeps-its-limit"},
	{"U", "the domain of the subset check", "U6-resolution-a-schedule-that-ignores-holidays-is-no-subset"},
	{"U", "privacy of a unit", "U-resolution-privacy-hides-a-unit-from-its-operator"},
	{"U", "the activity that unit managers see", "U2-unit-managers-see-their-users-and-activity"},
}

// TestRulesHaveSpecifications lists every rule of the field with the specifications
// that bear its name. Every question that the rules leave open is listed with the
// specification of its answer.
func TestRulesHaveSpecifications(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	require.NoError(t, err)
	for _, family := range []struct {
		letter      string
		first, last int
	}{{"F", 1, 6}, {"G", 1, 10}, {"B", 1, 7}, {"U", 1, 13}, {"L", 1, 7}, {"L", 12, 14}} {
		for n := family.first; n <= family.last; n++ {
			rule := family.letter + strconv.Itoa(n)
			shown := 0
			for _, file := range files {
				if strings.HasPrefix(specName(file), rule+"-") {
					shown++
					t.Logf("%-4s %s", rule, ruleOf(t, file))
				}
			}
			assert.Positive(t, shown, "no specification shows the rule %s", rule)
		}
	}
	for _, r := range resolved {
		t.Logf("%-4s %s: %s", r.family, r.question, ruleOf(t, fmt.Sprintf("testdata/%s.txtar", r.shownBy)))
	}
}

// ruleOf gives the sentence with which a specification begins.
func ruleOf(t *testing.T, file string) string {
	text, err := os.ReadFile(file)
	require.NoError(t, err, "an answer has a specification")
	rule := bytes.TrimSpace(txtar.Parse(text).Comment)
	require.NotEmpty(t, rule)
	return specName(file) + ": " + strings.TrimLeft(string(rule), "# ")
}
