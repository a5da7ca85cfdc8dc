package gatehouse_test

import (
	"encoding/json"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// allowed says which packages of the project each package may import, and why. A
// package that is not here may not exist.
var allowed = []struct {
	pkg, imports, why string
}{
	{"domain/schedule", "", "the algebra of time is shared by service and gateways and needs nothing"},
	{"domain/strict", "", "JSON is read one way, by the service and by gateways"},
	{"domain/unlock", "domain/schedule domain/strict", "gateways decide with this: no state, no names, no wire"},
	{"domain/cardnumber", "", "one card has one number: in commands, in files and at every reader"},
	{"domain", "domain/schedule domain/strict domain/unlock domain/cardnumber", "the rules: pure, and rows are made for unlock"},
	{"domain/explain", "domain domain/schedule domain/unlock", "says in words what a decision tells of things: it decides nothing"},
	{"programtest", "", "finds programs of others for the tests of every package"},
	{"randomtest", "", "gives the random tests of every package their seeds"},
	{"failpoint", "", "steps of writes, of whatever is written"},
	{"durable", "", "a file is a file, whoever keeps it: the service or a gateway"},
	{"schemas/wire", "domain/unlock", "a gateway speaks it, and links no rule"},
	{"schemas", "domain domain/strict domain/schedule domain/unlock schemas/wire", "the wire forms of what the domain defines"},
	{"eventstore/vault", "durable schemas/wire", "keys know nothing of what they seal, and tags are made one way"},
	{"eventstore/budget", "", "places and turns know nothing of what they are taken for"},
	{"eventstore/clock", "durable", "time knows nothing of what happens in it"},
	{"eventstore/clustertest", "", "servers alone, for the tests of packages that know the ledger and of those that do not"},
	{"eventstore/mark", "domain durable schemas/wire", "outlives the ledger, so it knows nothing of how that is stored"},
	{"eventstore/streams", "schemas", "names and settings of streams, whatever is in them"},
	{"eventstore/natsserver", "domain/strict durable eventstore/mark eventstore/streams", "the server and its files: it knows no org, no commit and no key"},
	{"eventstore", "schemas schemas/wire domain eventstore/budget eventstore/clock durable eventstore/mark eventstore/natsserver eventstore/streams eventstore/vault failpoint", "the only place that knows JetStream's sequences"},
	{"eventstore/backup", "eventstore durable eventstore/streams eventstore/vault schemas schemas/wire domain", "copies the streams as they are, and knows what makes a chain"},
	{"eventstore/restore", "eventstore eventstore/backup durable eventstore/mark eventstore/natsserver eventstore/streams eventstore/vault schemas schemas/wire domain", "puts back what backup wrote, by the store's own rules"},
	{"projections/permissions", "eventstore eventstore/streams eventstore/vault schemas schemas/wire domain domain/unlock domain/schedule", "publishes what the domain makes of the state"},
	{"projections/due", "eventstore schemas schemas/wire domain domain/schedule", "sends what time makes due"},
	{"gateways/reads", "gateways/edge eventstore schemas schemas/wire domain domain/unlock domain/cardnumber", "decides reads of files as a gateway does, on the tables of the service"},
	{"gateways/tables", "schemas schemas/wire domain/schedule", "files from elsewhere, whatever they are of"},
	{"gateways/admission", "eventstore schemas schemas/wire domain", "says who may connect to NATS, by the state of the orgs"},
	{"gateways/receipts", "schemas/wire domain domain/unlock", "keeps what gateways say, and asks nobody"},
	{"gateways/control", "failpoint gateways/receipts projections/permissions eventstore eventstore/vault schemas schemas/wire domain domain/unlock", "answers gateways, and tells them what commits ask for"},
	{"gateways/edge", "gateways/driver gateways/edge/door gateways/edge/journal durable schemas/wire domain/unlock domain/cardnumber failpoint gateways/edge/seal", "a small program: neither rules nor store nor server"},
	{"gateways/httpapi", "gateways/reads gateways/receipts projections/permissions eventstore eventstore/budget eventstore/clock eventstore/streams eventstore/vault schemas schemas/wire domain domain/explain domain/schedule domain/unlock domain/strict", "one more foreign protocol"},
	{"gateways/driver", "domain/unlock schemas/wire", "the port of devices: no rule and no store"},
	{"gateways/mqtt", "domain/unlock gateways/driver schemas/wire", "a driver: it speaks to devices and knows no rule"},
	{"gateways/uhppote", "domain/cardnumber domain/unlock durable gateways/driver schemas/wire", "a driver: it speaks to boards, keeps how far it has read them, and knows no rule"},
	{"gateways/gatewaytest", "domain/unlock gateways/driver schemas/wire", "what every driver is tested with knows none of them"},
	{"gateways/simulated", "domain/cardnumber domain/unlock gateways/driver schemas/wire", "a driver: the port, and the forms of numbers"},
	{"gateways/drivers", "gateways/driver gateways/edge gateways/mqtt gateways/simulated gateways/uhppote domain/strict schemas/wire", "the one list of drivers, and the file in which a gateway names them"},
	{"gateways/edge/seal", "", "a secret and a TPM"},
	{"gateways/edge/journal", "durable failpoint", "files alone"},
	{"gateways/edge/identity", "durable schemas/wire", "a gateway that enrols knows no rule and no store"},
	{"gateways/edge/door", "domain/unlock gateways/driver schemas/wire", "one door: pure, with no clock and no device"},
	{"cmd/gatehouse/client", "gateways/httpapi", "speaks HTTP, and knows of the service what its answers are"},
	{"cmd/gatehouse/input", "cmd/gatehouse/client schemas schemas/wire domain domain/schedule", "reads what people type by the schemas of the commands"},
	{"cmd/gatehouse/bulk", "cmd/gatehouse/client cmd/gatehouse/input gateways/httpapi gateways/reads gateways/tables schemas domain domain/schedule domain/cardnumber", "speaks HTTP alone: the limits and forms of what it sends are those of the API"},
	{"cmd/gatehouse/propagation", "cmd/gatehouse/client gateways/driver gateways/edge schemas/wire", "plays gateways on a running service, and speaks HTTP beside"},
	{"cmd/gatehouse/demo", "gateways/reads gateways/simulated projections/permissions eventstore schemas schemas/wire domain domain/schedule domain/unlock", "plays people on a running ledger, and starts none; its lock gateways are processes"},
	{"cmd/gatehouse", "*", "wires everything, and holds no rule"},
	{"cmd/gatehouse-gateway", "cmd/gatehouse-gateway/program", "flags and signals alone"},
	{"cmd/gatehouse-gateway/program", "gateways/drivers gateways/edge gateways/edge/identity gateways/mqtt schemas/wire", "wires a gateway, and links neither rules nor store nor server"},
	{"deploy", "", "starts programs and links none"},
	{"deploy/processes", "deploy", "the command line of deploy alone"},
}

// forbidden says which modules a package may not link, however indirectly.
var forbidden = []struct {
	pkg, module, why string
}{
	{"domain", "github.com/nats-io", "the rules are pure"},
	{"domain", "modernc.org/sqlite", "the rules are pure"},
	{"domain/unlock", "github.com", "the decision is linked into every gateway"},
	{"schemas", "github.com/nats-io", "bodies are read without a server"},
	{"schemas", "modernc.org/sqlite", "bodies are read without a database"},
	{"cmd/gatehouse-gateway", "github.com/nats-io/nats-server", "a gateway is a client"},
	{"cmd/gatehouse-gateway", "modernc.org/sqlite", "a gateway keeps files alone"},
}

type listed struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

func packages(t *testing.T) map[string]listed {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,Deps", "./...").Output()
	require.NoError(t, err)
	all := map[string]listed{}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		err := d.Decode(&p)
		if err == io.EOF {
			return all
		}
		require.NoError(t, err)
		all[strings.TrimPrefix(p.ImportPath, "gatehouse/")] = p
	}
}

func TestImportsGoOneWay(t *testing.T) {
	all := packages(t)
	for name, p := range all {
		if name == "gatehouse" {
			continue
		}
		i := slices.IndexFunc(allowed, func(a struct{ pkg, imports, why string }) bool { return a.pkg == name })
		if !assert.GreaterOrEqual(t, i, 0, "package %s stands in no line of the table of imports", name) {
			continue
		}
		may := strings.Fields(allowed[i].imports)
		for _, imp := range p.Imports {
			short, own := strings.CutPrefix(imp, "gatehouse/")
			if own && allowed[i].imports != "*" {
				assert.Contains(t, may, short, "%s may not import %s: %s", name, short, allowed[i].why)
			}
		}
	}
	for _, f := range forbidden {
		for _, dep := range all[f.pkg].Deps {
			assert.False(t, strings.HasPrefix(dep, f.module), "%s links %s: %s", f.pkg, dep, f.why)
		}
	}
}

func TestNoHousesOfOdds(t *testing.T) {
	for name := range packages(t) {
		assert.NotContains(t, []string{"internal", "pkg", "common", "utils", "util", "service", "app"}, path.Base(name))
	}
}

// gatewayLinks are the modules of others that the lock gateway links, each with what for.
// The program runs on small boxes that nobody updates in a hurry.
var gatewayLinks = map[string]string{
	"github.com/alecthomas/kong":          "flags",
	"github.com/beorn7/perks":             "metrics",
	"github.com/cespare/xxhash":           "metrics",
	"github.com/eclipse/paho.mqtt.golang": "the driver mqtt",
	"github.com/gorilla/websocket":        "the driver mqtt",
	"github.com/google/go-tpm":            "the key of tags, sealed by the TPM of the box",
	"github.com/google/renameio":          "files that are replaced as a whole",
	"github.com/klauspost/compress":       "NATS",
	"github.com/munnerz/goautoneg":        "metrics",
	"github.com/nats-io/nats.go":          "NATS",
	"github.com/nats-io/nkeys":            "its identity",
	"github.com/nats-io/nuid":             "NATS",
	"github.com/prometheus":               "metrics",
	"github.com/uhppoted/uhppote-core":    "the driver uhppote",
	"golang.org/x/crypto":                 "its identity, and the key of tags",
	"golang.org/x/net":                    "the driver mqtt",
	"golang.org/x/sync":                   "the driver mqtt",
	"golang.org/x/sys":                    "the clock of the machine, and locks of files",
	"golang.org/x/text":                   "flags",
	"golang.org/x/time":                   "its pace of requests",
	"google.golang.org/protobuf":          "metrics",
}

func TestTheGatewayLinksNothingElse(t *testing.T) {
	deps := packages(t)["cmd/gatehouse-gateway"].Deps
	for _, dep := range deps {
		host, _, _ := strings.Cut(dep, "/")
		if !strings.Contains(host, ".") {
			continue // ours, or of the language
		}
		known := false
		for module := range gatewayLinks {
			known = known || dep == module || strings.HasPrefix(dep, module+"/")
		}
		assert.True(t, known, "cmd/gatehouse-gateway links %s; say in the list what for, or do without it", dep)
	}
	for module := range gatewayLinks {
		assert.True(t, slices.ContainsFunc(deps, func(dep string) bool { return dep == module || strings.HasPrefix(dep, module+"/") }),
			"cmd/gatehouse-gateway does not link %s any more; take it off the list", module)
	}
}
