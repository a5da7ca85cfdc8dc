package domain

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestRoleMatrix checks the document of who may send which command. The ways are the
// fields of Permit; the documentation of a command tells what it checks beyond them.
// With -update the test writes the document for people to read.
func TestRoleMatrix(t *testing.T) {
	path := filepath.Join("testdata", "role-matrix.md")
	matrix := roleMatrix()
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(matrix), 0o644))
	}
	kept, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(kept), matrix, "run the test with -update, and read what changed")
}

func roleMatrix() string {
	var b strings.Builder
	b.WriteString("# Who may send which command\n\nMade by `go test ./domain -run RoleMatrix -update`. The roles are those at the org, or at every site that the command\n")
	b.WriteString("concerns. A higher role includes the lower ones. The ways beside them are of the booking, unit, person, door or group\nthat the command is about: any one suffices, and the command itself may ask for more.\n\n")
	ways := permitWays()
	fmt.Fprintf(&b, "| command | %s | beside |\n", strings.Join(roleNames(), " | "))
	b.WriteString("| --- |" + strings.Repeat(" :-: |", len(Roles)) + " --- |\n")
	for _, c := range Commands() {
		p := c.Permit()
		cells := make([]string, len(Roles))
		for i, r := range Roles {
			if p.Role != "" && r.AtLeast(p.Role) {
				cells[i] = "x"
			}
		}
		var beside []string
		for _, w := range ways {
			if says := w(p); says != "" {
				beside = append(beside, says)
			}
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", c.Name, strings.Join(cells, " | "), strings.Join(beside, ", "))
	}
	return b.String()
}

func roleNames() (names []string) {
	for _, r := range Roles {
		names = append(names, string(r))
	}
	return names
}

// permitWays are the ways of a permit beside the role, each by its field: a way
// that is added comes into the matrix by itself.
func permitWays() (ways []func(Permit) string) {
	typ := reflect.TypeFor[Permit]()
	for i := range typ.NumField() {
		f := typ.Field(i)
		if f.Name == "Role" || f.Name == "SelfIs" {
			continue
		}
		name := strings.ReplaceAll(snake(f.Name), "_", " ")
		ways = append(ways, func(p Permit) string {
			switch v := reflect.ValueOf(p).Field(i); {
			case v.IsZero():
				return ""
			case f.Name == "Self" && p.SelfIs != "":
				return name + ": " + p.SelfIs
			case v.Kind() == reflect.String:
				return name + " " + v.String()
			}
			return name
		})
	}
	return ways
}

// TestEveryWayOfAPermitIsTold: a refusal names every way by which the command
// could have been sent, but for the service.
func TestEveryWayOfAPermitIsTold(t *testing.T) {
	typ := reflect.TypeFor[Permit]()
	for i := range typ.NumField() {
		var p Permit
		f := reflect.ValueOf(&p).Elem().Field(i)
		if f.Kind() == reflect.String {
			f.SetString("admin")
		} else {
			f.SetBool(true)
		}
		p.Self = p.Self || p.SelfIs != ""
		if typ.Field(i).Name != "Service" {
			assert.NotEqual(t, Permit{}.String(), p.String(), typ.Field(i).Name)
		}
	}
}
