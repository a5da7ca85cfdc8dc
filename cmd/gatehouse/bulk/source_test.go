package bulk

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAGatewayIsOfItsFile(t *testing.T) {
	dir := t.TempDir()
	ids := func(name, text string) ([]string, string) {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		ids, apart, err := (&readSource{opt: ReadsOptions{File: path, CredentialColumn: []string{"card"}}}).gatewaysOf()
		require.NoError(t, err)
		return ids, apart
	}
	first, apart := ids("Prox Reads.csv", "at,card\n1,2\n")
	assert.Equal(t, []string{"reads-prox-reads-f16856ac"}, first, "what an earlier version recorded is found again")
	grown, _ := ids("Prox Reads.csv", "at,card\r\n1, 2\r\n3,4\r\n")
	assert.Equal(t, first, grown, "a file may grow")
	for name, own := range map[string]string{"Prox Reads (1).csv": "prox-reads-1", "Prox Reads - Kopie.csv": "prox-reads-kopie", "Copy of Prox Reads.csv": "copy-of-prox-reads"} {
		copied, _ := ids(name, "at,card\n1,2\n")
		assert.Equal(t, append(slices.Clone(first), "reads-"+own+"-f16856ac"), copied, name)
	}
	changed, same := ids("Prox Reads.csv", "at,card\n1,3\n")
	assert.NotEqual(t, first, changed)
	assert.Equal(t, apart, same, "of the number of a card nothing can be guessed from it")
	other, _ := ids("other.csv", "at,card\n1,2\n")
	assert.NotEqual(t, first, other)
	long, _ := ids(strings.Repeat("x", 60)+".csv", "at,card\n1,2\n")
	assert.Regexp(t, `^reads-x{40}-[0-9a-f]{8}$`, long[0])
}
