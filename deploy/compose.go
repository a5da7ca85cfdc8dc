// Package deploy runs the services of docker-compose.yml as plain processes of this
// machine, for where there is no engine, and lets tests see what the file says.
//
// # What becomes of a service
//
// Its command, its environment and the files that it mounts are those of the
// compose file, with two changes. An address, written HOST:PORT where HOST is a
// service, 0.0.0.0 or 127.0.0.1, becomes one of the loopback: the published port
// where there is one, else a free port that is kept. A path below a mount becomes
// one below the directory of the set, where each volume and each mounted file has
// its own name. Users, capabilities and networks are the engine's and left out.
//
// # Who is alive
//
// Every process inherits the lock on a file that holds its number, so the lock
// lives exactly as long as it does: neither a crash nor a number that was given to
// another process is taken for it.
package deploy

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Compose is a compose file, as far as this set uses the format. A key that is not
// here is an error: nothing of the file is passed over.
type Compose struct {
	Name     string              `yaml:"name"`
	Services map[string]*Service `yaml:"services"`
	Volumes  map[string]struct{} `yaml:"volumes"`

	// The parts that services share.
	Hardened          any `yaml:"x-hardened"`
	NATS              any `yaml:"x-nats"`
	NATSSettings      any `yaml:"x-nats-settings"`
	GatehouseImage    any `yaml:"x-gatehouse-image"`
	Gatehouse         any `yaml:"x-gatehouse"`
	GatehouseSettings any `yaml:"x-gatehouse-settings"`

	dir string // of the file
}

// Service is one service of a compose file.
type Service struct {
	Image       string            `yaml:"image"` // name:tag; without a tag it is built
	Build       *Build            `yaml:"build"`
	Command     []string          `yaml:"command"` // arguments of the image's program
	Environment map[string]string `yaml:"environment"`
	Volumes     []string          `yaml:"volumes"` // SOURCE:PATH or SOURCE:PATH:ro
	Ports       []string          `yaml:"ports"`   // ADDRESS:PORT:PORT, the last one inside
	DependsOn   map[string]struct {
		Condition string `yaml:"condition"`
	} `yaml:"depends_on"`
	HealthCheck     *HealthCheck  `yaml:"healthcheck"`
	StopGracePeriod time.Duration `yaml:"stop_grace_period"` // before it is killed; 0: 10 s
	Restart         string        `yaml:"restart"`

	ReadOnly    bool     `yaml:"read_only"`
	CapDrop     []string `yaml:"cap_drop"`
	SecurityOpt []string `yaml:"security_opt"`
	GroupAdd    []string `yaml:"group_add"`
	Tmpfs       []string `yaml:"tmpfs"`
}

// Build says from what an image is made.
type Build struct {
	Context    string `yaml:"context"`    // directory, relative to the compose file
	Dockerfile string `yaml:"dockerfile"` // relative to the context
}

// HealthCheck says how an engine asks whether a service is well.
type HealthCheck struct {
	Test     []string      `yaml:"test"` // CMD, a program and its arguments
	Interval time.Duration `yaml:"interval"`
	Timeout  time.Duration `yaml:"timeout"`
	Retries  int           `yaml:"retries"`
}

// The conditions under which a service is started after another.
const (
	healthy   = "service_healthy"
	completed = "service_completed_successfully"
)

// Load reads a compose file and checks that what it names is there.
func Load(path string) (*Compose, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("deploy: %w", err)
	}
	c := &Compose{dir: filepath.Dir(path)}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(c); err != nil {
		return nil, fmt.Errorf("deploy: %s: %w", path, err)
	}
	for _, name := range c.Names() {
		if err := c.check(c.Services[name]); err != nil {
			return nil, fmt.Errorf("deploy: %s: service %s: %w", path, name, err)
		}
	}
	return c, nil
}

func (c *Compose) check(s *Service) error {
	for other, d := range s.DependsOn {
		needed, ok := c.Services[other]
		switch {
		case !ok:
			return fmt.Errorf("it depends on %s, which there is not", other)
		case d.Condition == healthy && needed.HealthCheck == nil:
			return fmt.Errorf("it waits for the health of %s, which has no health check", other)
		case d.Condition != healthy && d.Condition != completed:
			return fmt.Errorf("it depends on %s by the condition %q, which this set does not use", other, d.Condition)
		}
	}
	for _, v := range s.Volumes {
		m, err := parseMount(v)
		if err != nil {
			return err
		}
		if _, named := c.Volumes[m.source]; named != m.named() {
			return fmt.Errorf("the volume %s is not declared", m.source)
		}
	}
	for _, p := range s.Ports {
		if parts := strings.Split(p, ":"); len(parts) != 3 || parts[0] != "127.0.0.1" {
			return fmt.Errorf("the port %s is not written 127.0.0.1:PORT:PORT", p)
		}
	}
	if h := s.HealthCheck; h != nil && (len(h.Test) < 2 || h.Test[0] != "CMD") {
		return fmt.Errorf("its health check is no CMD with a program")
	}
	return nil
}

// Names are the names of the services, in order.
func (c *Compose) Names() []string {
	names := make([]string, 0, len(c.Services))
	for name := range c.Services {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Runs tells what a service runs: the name of its image without the registry's
// folder and the tag, as nats of nats:2.15.2-alpine.
func (s *Service) Runs() string {
	name, _, _ := strings.Cut(s.Image, ":")
	return filepath.Base(name)
}

// published are the ports of a service, as it has them, that are reached from outside.
func (s *Service) published() []string {
	var inside []string
	for _, p := range s.Ports {
		inside = append(inside, p[strings.LastIndex(p, ":")+1:])
	}
	return inside
}

// mount is a volume or a path of the host, and where a service sees it.
type mount struct{ source, path string }

func parseMount(text string) (mount, error) {
	parts := strings.Split(text, ":")
	if len(parts) < 2 || len(parts) > 3 || len(parts) == 3 && parts[2] != "ro" {
		return mount{}, fmt.Errorf("the volume %s is not written SOURCE:PATH or SOURCE:PATH:ro", text)
	}
	return mount{parts[0], parts[1]}, nil
}

// named reports whether the engine keeps it, and it is no path of the host.
func (m mount) named() bool { return !strings.HasPrefix(m.source, ".") }
