package deploy

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A process is a service as it runs on this machine.
type process struct {
	name    string
	program string // path of the executable; empty means it is not on this machine
	args    []string
	env     []string // NAME=value; otherwise only PATH, HOME and TMPDIR are passed on
	health  []string // program and arguments of the health check; empty means no check
	service *Service
}

// plan builds the processes of the set, in the order of their names.
func (s *Set) plan() ([]*process, error) {
	var all []*process
	for _, name := range s.Compose.Names() {
		service := s.Compose.Services[name]
		p := &process{name: name, program: s.Programs[service.Runs()], service: service}
		for _, arg := range service.Command {
			p.args = append(p.args, s.here(name, arg))
		}
		for _, key := range slices.Sorted(maps.Keys(service.Environment)) {
			p.env = append(p.env, key+"="+s.here(name, service.Environment[key]))
		}
		for _, key := range []string{"PATH", "HOME", "TMPDIR"} {
			if value, ok := os.LookupEnv(key); ok {
				p.env = append(p.env, key+"="+value)
			}
		}
		if service.HealthCheck != nil {
			for _, part := range service.HealthCheck.Test[1:] {
				p.health = append(p.health, s.here(name, part))
			}
		}
		all = append(all, p)
	}
	return all, s.ports.save()
}

// here rewrites a text of the compose file to the addresses and paths of this machine.
func (s *Set) here(service, text string) string {
	return s.addresses(service, s.paths(service, text))
}

// paths replaces each mount path in the container with its path on this machine.
func (s *Set) paths(service, text string) string {
	for _, v := range s.Compose.Services[service].Volumes {
		m, err := parseMount(v)
		if err != nil {
			continue // Load has refused it
		}
		at := regexp.MustCompile(`(^|[=@])` + regexp.QuoteMeta(m.path) + `($|/)`)
		text = at.ReplaceAllString(text, "${1}"+strings.ReplaceAll(s.place(m), "$", "$$")+"$2")
	}
	return text
}

// place returns the path of a volume or a mounted file in the directory of the set.
func (s *Set) place(m mount) string { return filepath.Join(s.Dir, filepath.Base(m.source)) }

// addresses replaces each address of a service with a loopback address.
func (s *Set) addresses(service, text string) string {
	hosts := append(s.Compose.Names(), "0.0.0.0", "127.0.0.1")
	for i, h := range hosts {
		hosts[i] = regexp.QuoteMeta(h)
	}
	at := regexp.MustCompile(`\b(` + strings.Join(hosts, "|") + `):(\d+)\b`)
	return at.ReplaceAllStringFunc(text, func(address string) string {
		host, port, _ := strings.Cut(address, ":")
		if s.Compose.Services[host] == nil {
			host = service
		}
		return s.Address(host, port)
	})
}

// Address returns the address at which a port of a service is reached on this machine.
func (s *Set) Address(service, port string) string {
	if !s.FreePorts {
		for _, p := range s.Compose.Services[service].Ports {
			if parts := strings.Split(p, ":"); parts[2] == port {
				return parts[0] + ":" + parts[1]
			}
		}
	}
	return "127.0.0.1:" + strconv.Itoa(s.ports.of(service+":"+port))
}

// prepare makes the directories of the volumes and copies the mounted files of the
// repository. In the copies it writes the addresses of this machine.
func (s *Set) prepare() error {
	for _, name := range s.Compose.Names() {
		for _, v := range s.Compose.Services[name].Volumes {
			m, err := parseMount(v)
			if err != nil {
				return err
			}
			if m.named() {
				err = os.MkdirAll(s.place(m), 0o700)
			} else {
				err = s.copy(name, filepath.Join(s.Compose.dir, m.source), s.place(m))
			}
			if err != nil {
				return fmt.Errorf("deploy: the volume %s: %w", v, err)
			}
		}
	}
	return nil
}

// copy copies a file, or the files of a directory.
func (s *Set) copy(service, from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		text, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		return os.WriteFile(to, []byte(s.addresses(service, string(text))), 0o644)
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	for _, e := range entries {
		if err := s.copy(service, filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// ports are the ports of the set on this machine. They are kept in a file, so that a
// process that restarts is reached at the same address.
type ports struct {
	file  string
	taken map[string]int          // by SERVICE:PORT of the compose file
	held  map[string]net.Listener // listeners that reserve ports until their service starts, by the same key
}

// The range of ports lies below the range that systems use for outgoing connections.
// Otherwise such a connection could take a port while its process does not run.
const (
	firstPort = 20_000
	lastPort  = 32_000
)

func openPorts(file string) (*ports, error) {
	p := &ports{file: file, taken: map[string]int{}, held: map[string]net.Listener{}}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &p.taken)
	}
	if err != nil {
		return nil, fmt.Errorf("deploy: the ports of the set: %w", err)
	}
	return p, nil
}

func (p *ports) save() error {
	text, err := json.MarshalIndent(p.taken, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(p.file, text, 0o644)
}

// of returns the port of SERVICE:PORT. A new port is reserved until its service starts,
// so that no other set takes it meanwhile.
func (p *ports) of(key string) int {
	if port, ok := p.taken[key]; ok {
		return port
	}
	taken := slices.Collect(maps.Values(p.taken))
	for {
		port := firstPort + rand.IntN(lastPort-firstPort)
		if slices.Contains(taken, port) {
			continue
		}
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		p.taken[key], p.held[key] = port, listener
		return port
	}
}

// release frees the reserved ports of a service that is about to start.
func (p *ports) release(service string) error {
	var errs []error
	for key, listener := range p.held {
		if of, _, _ := strings.Cut(key, ":"); of == service {
			errs = append(errs, listener.Close())
			delete(p.held, key)
		}
	}
	return errors.Join(errs...)
}

// releaseAll frees every port that is still reserved.
func (p *ports) releaseAll() error {
	var errs []error
	for _, listener := range p.held {
		errs = append(errs, listener.Close())
	}
	clear(p.held)
	return errors.Join(errs...)
}
