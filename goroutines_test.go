package gatehouse_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// unguarded are the functions that start goroutines without catching panics in them.
// Each has the reason why that ends no service.
var unguarded = map[string]string{
	"cmd/gatehouse/backups.go offerBackups":          "the verb's socket is guarded, and each run on the schedule guards itself",
	"cmd/gatehouse/destroyed.go keepDestroyed":       "it copies one small file, of which no byte is read as anything",
	"cmd/gatehouse/demo/box.go start":                "it waits for a process",
	"cmd/gatehouse/demo/cable.go":                    "it carries bytes of the demo's own gateways, and reads none",
	"cmd/gatehouse/demo/gateways.go revoke":          "it waits for the demo's own gateway",
	"cmd/gatehouse/gateway.go Run":                   "it waits for the end of standard input",
	"cmd/gatehouse/service.go endWithin":             "the service stops anyhow",
	"eventstore/held.go waitAll":                     "it waits",
	"eventstore/held.go rlock":                       "it takes a lock, or lets it go",
	"cmd/gatehouse/loader.go loadAll":                "the orgs are guarded one by one; the rest counts",
	"cmd/gatehouse/loader.go admit":                  "admission guards what it answers and each sweep",
	"gateways/edge/keeper.go slots":                  "the driver is tried, and its panic is an error",
	"cmd/gatehouse/service.go project":               "projector and timer guard each turn and each round",
	"cmd/gatehouse/service.go goServe":               "net/http and the API guard each request",
	"cmd/gatehouse-gateway/program/program.go offer": "net/http guards each request",
	"cmd/gatehouse/propagation/bare.go newBare":      "a verb of its own",
	"cmd/gatehouse/propagation/propagation.go start": "a verb of its own",
	"domain/binary.go readTables":                    "it reads the rows of a table, and makes an error of a panic",
	"schemas/wire/baserows.go decode":                "it decodes rows, and makes an error of a panic",
	"deploy/process.go start":                        "a program of its own",
	"eventstore/backup/s3.go":                        "a verb of its own",
	"eventstore/mark/marks.go OpenMarks":             "they run before there is a store to guard them, and copy records of one size that bear sums",
	"eventstore/restore/restore.go":                  "a verb of its own",
	"eventstore/queue.go handOver":                   "each job is guarded, and its panic is the caller's",
	"gateways/control/ask.go Answer":                 "each look at the records of a gateway is guarded",
	"gateways/admission/admission.go answerAll":      "it hands questions on, each of which is guarded",
	"gateways/mqtt/mqtt.go Run":                      "messages are read under a guard; the rest keeps a connection and reads no byte of it",
	"gateways/gatewaytest/play.go start":             "a suite of tests",
	"gateways/gatewaytest/suite.go slow":             "a suite of tests",
	"gateways/simulated/socket.go serve":             "it plays devices of the demo and of tests, and no others",
	"gateways/simulated/socket.go accept":            "it plays devices of the demo and of tests, and no others",
	"gateways/uhppote/uhppote.go Run":                "each look at a board is guarded; of a push the head alone is read",
	"projections/permissions/projector.go Run":       "each turn is guarded, and so are tags and bases",
}

// Every goroutine of the service catches its panics, or stands in the list with why.
func TestGoroutinesAreGuarded(t *testing.T) {
	used := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		if strings.HasPrefix(path, "eventstore/clustertest") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, text, 0)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			ast.Inspect(f, func(n ast.Node) bool {
				starts := false
				switch n := n.(type) {
				case *ast.GoStmt:
					starts = true
				case *ast.CallExpr:
					sel, ok := n.Fun.(*ast.SelectorExpr)
					starts = ok && sel.Sel.Name == "Go"
				}
				if !starts {
					return true
				}
				from, to := set.Position(n.Pos()), set.Position(n.End())
				if body := string(text[from.Offset:to.Offset]); strings.Contains(body, ".Guard(") {
					return true
				}
				for _, key := range []string{path + " " + f.Name.Name, path} {
					if unguarded[key] != "" {
						used[key] = true
						return true
					}
				}
				assert.Fail(t, "a goroutine without a guard", "%s: %s starts one; run it by Store.Guard, or say in the list why not", from, f.Name.Name)
				return true
			})
		}
		return nil
	})
	require.NoError(t, err)
	for key := range unguarded {
		assert.True(t, used[key], "%s starts no goroutine any more; take it off the list", key)
	}
}
