package deploy

import (
	"bytes"
	"os"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

func load(t *testing.T) *Compose {
	t.Helper()
	c, err := Load("../docker-compose.yml")
	require.NoError(t, err)
	return c
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	return string(text)
}

// instruction returns the arguments of the last use of an instruction in the
// Dockerfile.
func instruction(t *testing.T, name string) string {
	t.Helper()
	all := regexp.MustCompile(`(?m)^`+name+`\s+(.*)$`).FindAllStringSubmatch(read(t, "Dockerfile"), -1)
	require.NotEmpty(t, all, name)
	return all[len(all)-1][1]
}

func TestImagesArePinned(t *testing.T) {
	c := load(t)
	for _, name := range c.Names() {
		s := c.Services[name]
		if s.Runs() == "gatehouse" {
			require.NotNil(t, s.Build, name)
			assert.FileExists(t, path.Join("..", s.Build.Context, s.Build.Dockerfile), "relative to the compose file")
			continue
		}
		assert.Regexp(t, `:v?\d+\.\d+\.\d+(-alpine)?$`, s.Image)
		if s.Runs() == "nats" {
			assert.Equal(t, "nats:"+server.VERSION+"-alpine", s.Image, "the version that the tests run against")
		}
	}
}

func TestTheImageIsBuiltByTheGoOfTheModule(t *testing.T) {
	version := regexp.MustCompile(`(?m)^go (\S+)$`).FindStringSubmatch(read(t, "../go.mod"))[1]
	assert.Equal(t, "GO_VERSION="+version, instruction(t, "ARG"))
}

func TestTheImageIsBare(t *testing.T) {
	c := load(t)
	assert.Equal(t, "scratch", instruction(t, "FROM"))
	assert.Contains(t, read(t, "Dockerfile"), "CGO_ENABLED=0")
	assert.Equal(t, `["/gatehouse"]`, instruction(t, "ENTRYPOINT"))
	user, group, _ := strings.Cut(instruction(t, "USER"), ":")
	assert.NotEqual(t, "0", user)
	for _, name := range c.Names() {
		if s := c.Services[name]; s.Runs() == "nats" {
			assert.Contains(t, s.GroupAdd, group, "who reads servers.conf, which the image's user writes for its group")
		}
	}
	// A volume takes the owner of the directory at its place, so there must be one.
	for _, v := range append(slices.Clone(c.Services["keys"].Volumes), c.Services["gatehouse-a"].Volumes...) {
		_, place, _ := strings.Cut(v, ":")
		place, _, _ = strings.Cut(place, ":")
		assert.Regexp(t, `/out`+place+`\b`, instruction(t, "RUN"))
	}
}

// The build context contains every package that the program imports, and no tests.
func TestTheBuildHasEveryPackage(t *testing.T) {
	ignored := read(t, "Dockerfile.dockerignore")
	out, err := exec.Command("go", "list", "-deps", "gatehouse/cmd/gatehouse", "gatehouse/cmd/gatehouse-gateway").Output()
	require.NoError(t, err)
	for pkg := range strings.FieldsSeq(string(out)) {
		if own, ok := strings.CutPrefix(pkg, "gatehouse/"); ok {
			top, _, _ := strings.Cut(own, "/")
			assert.Contains(t, ignored, "\n!"+top+"\n", pkg)
		}
	}
}

// The unit of the gateway lets it write to its own folder alone, and starts it again
// however it ends.
func TestTheUnitOfTheGatewayIsHardened(t *testing.T) {
	unit := read(t, "gatehouse-gateway.service")
	dir := regexp.MustCompile(`(?m)^StateDirectory=(.+)$`).FindStringSubmatch(unit)
	require.NotNil(t, dir)
	assert.Contains(t, unit, "\nExecStart=/usr/local/bin/gatehouse-gateway --dir /var/lib/"+dir[1]+"\n")
	for _, line := range []string{"User=gatehouse-gateway", "Restart=always", "StartLimitIntervalSec=0", "NoNewPrivileges=yes", "CapabilityBoundingSet=", "ProtectSystem=strict",
		"ProtectHome=yes", "PrivateTmp=yes", "UMask=0077"} {
		assert.Contains(t, unit, "\n"+line+"\n")
	}
}

func TestServicesAreHardened(t *testing.T) {
	c := load(t)
	for _, name := range c.Names() {
		s := c.Services[name]
		assert.True(t, s.ReadOnly, name)
		assert.Equal(t, []string{"ALL"}, s.CapDrop, name)
		assert.Contains(t, s.SecurityOpt, "no-new-privileges:true", name)
		assert.Equal(t, name == "keys", s.Restart == "no", name)
	}
}

func TestVolumes(t *testing.T) {
	c := load(t)
	users := map[string][]string{}
	for _, name := range c.Names() {
		for _, v := range c.Services[name].Volumes {
			source, _, _ := strings.Cut(v, ":")
			users[source] = append(users[source], name)
			if name != "keys" && (strings.HasSuffix(source, "-keys") || strings.HasPrefix(source, ".")) {
				assert.True(t, strings.HasSuffix(v, ":ro"), "%s: %s", name, v)
			}
		}
	}
	for volume := range c.Volumes {
		want := 1
		switch volume {
		case "service-keys":
			want = 3
			assert.Equal(t, []string{"gatehouse-a", "gatehouse-b", "keys"}, users[volume], "the seeds are of the service alone")
		case "operator-keys":
			assert.Equal(t, []string{"keys"}, users[volume], "no service has the operator's seed")
		case "server-keys":
			want = 4
		}
		assert.Len(t, users[volume], want, volume)
	}
}

// prometheusConfig is the part of Prometheus' configuration that the set uses.
type prometheusConfig struct {
	Global struct {
		Interval string `yaml:"scrape_interval"`
		Timeout  string `yaml:"scrape_timeout"`
	} `yaml:"global"`
	Scrape []struct {
		Job     string `yaml:"job_name"`
		Path    string `yaml:"metrics_path"`
		Scheme  string `yaml:"scheme"`
		Statics []struct {
			Targets []string `yaml:"targets"`
		} `yaml:"static_configs"`
	} `yaml:"scrape_configs"`
}

func TestPrometheusScrapesEveryInstance(t *testing.T) {
	c := load(t)
	var cfg prometheusConfig
	decoder := yaml.NewDecoder(bytes.NewReader([]byte(read(t, "prometheus.yml"))))
	decoder.KnownFields(true)
	require.NoError(t, decoder.Decode(&cfg))
	require.Len(t, cfg.Scrape, 1)
	require.Len(t, cfg.Scrape[0].Statics, 1)
	var want []string
	for _, name := range c.Names() {
		if listen, ok := c.Services[name].Environment["GATEHOUSE_METRICS_LISTEN"]; ok {
			_, port, _ := strings.Cut(listen, ":")
			want = append(want, name+":"+port)
		}
	}
	assert.Equal(t, want, cfg.Scrape[0].Statics[0].Targets)
}

func TestAComposeFileWithUnknownThingsIsRefused(t *testing.T) {
	good := read(t, "../docker-compose.yml")
	for _, wrong := range []struct{ old, new, says string }{
		{"    command: [\"serve\", \"--vault\", \"local\"]", "    privileged: true", "field privileged not found"},
		{"    n1: {condition: service_healthy}", "    n4: {condition: service_healthy}", "depends on n4"},
		{"    keys: {condition: service_completed_successfully}", "    keys: {condition: service_healthy}", "which has no health check"},
		{"\"n1-store:/store\"", "\"n4-store:/store\"", "n4-store is not declared"},
		{"\"127.0.0.1:8080:8080\"", "\"8080:8080\"", "127.0.0.1:PORT:PORT"},
	} {
		file := path.Join(t.TempDir(), "docker-compose.yml")
		text := strings.Replace(good, wrong.old, wrong.new, 1)
		require.NotEqual(t, good, text)
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		_, err := Load(file)
		assert.ErrorContains(t, err, wrong.says)
	}
}
