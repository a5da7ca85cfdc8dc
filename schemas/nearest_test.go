package schemas

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestNearest(t *testing.T) {
	names := []string{"AssignFob", "AssignRole", "AssignKeyStock", "RemoveFob", "name"}
	assert.Equal(t, []string{"AssignFob"}, Nearest("AsignFob", names))
	assert.Equal(t, []string{"AssignFob", "AssignRole", "AssignKeyStock"}, Nearest("assign", names))
	assert.Equal(t, []string{"name"}, Nearest("nmae", names))
	assert.Empty(t, Nearest("OpenSesame", names))
	assert.Empty(t, Nearest("", []string{"AssignFob"}))
}
