package drivers

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gatehouse/domain/strict"
	"gatehouse/gateways/driver"
	"gatehouse/gateways/edge"
	"gatehouse/gateways/mqtt"
	"gatehouse/schemas/wire"
)

// maxFile is the greatest size of a gateway's file in bytes.
const maxFile = 1 << 20

// File is what an operator says of one gateway: which device is at which door, and what
// holds for all of them. It is JSON.
type File struct {
	// Drivers are the settings of drivers, by their names in [All].
	Drivers map[string]json.RawMessage `json:"drivers,omitempty"`
	Doors   map[wire.ID]FileDoor       `json:"doors"`
	// HomeAssistant shows the doors to an installation of Home Assistant; none: nowhere. Its
	// fields stand in gateways/mqtt/README.md.
	HomeAssistant json.RawMessage `json:"home_assistant,omitempty"`
	// TagKey says where the key of cards and PINs is kept: disk (the default) or memory,
	// where no card opens after a power cut that takes the network too.
	TagKey string `json:"tag_key,omitempty"`
	// TPM is the device of the TPM that seals that key on the disk; "none": it is not sealed.
	// Without it the machine's own is used, if there is one that opens.
	TPM string `json:"tpm,omitempty"`
	// Records says when a record is durable: soon (the default: within 100 ms), or strict:
	// before the door opens.
	Records string `json:"records,omitempty"`
	// Unrecorded says what a door does whose record cannot be kept, as the disk is full:
	// deny (the default), or open.
	Unrecorded string `json:"unrecorded,omitempty"`
}

// FileDoor is a door in the file of a gateway. Times are in seconds.
type FileDoor struct {
	Driver string `json:"driver"`
	// Name is for people who see the door in Home Assistant; none: its id.
	Name string `json:"name,omitempty"`
	// Sensor says that a contact tells whether the door is open.
	Sensor bool `json:"sensor,omitempty"`
	// Release is how long the lock opens for somebody; none: 5 s.
	Release float64 `json:"release_s,omitempty"`
	// Held is how long the door may stay open; none: 30 s, and -1: for ever.
	Held        float64         `json:"held_s,omitempty"`
	LockOnClose bool            `json:"lock_on_close,omitempty"`
	Device      json.RawMessage `json:"device,omitempty"` // for the driver
}

// Read reads the file of a gateway. An error names the field.
func Read(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("drivers: %w", err)
	}
	defer func() { _ = f.Close() }()
	body, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("drivers: read %s: %w", path, err)
	}
	if len(body) > maxFile {
		return nil, fmt.Errorf("drivers: %s has more than %d bytes", path, maxFile)
	}
	file := new(File)
	if err := strict.Decode(body, file); err != nil {
		return nil, fmt.Errorf("drivers: %s: %w", path, err)
	}
	if err := file.check(); err != nil {
		return nil, fmt.Errorf("drivers: %s: %w", path, err)
	}
	return file, nil
}

func (f *File) check() error {
	if len(f.Doors) == 0 || len(f.Doors) > edge.MaxDoors {
		return fmt.Errorf("doors: %d are given; 1 to %d are taken", len(f.Doors), edge.MaxDoors)
	}
	for _, c := range []struct{ field, value, standard, other string }{
		{"tag_key", f.TagKey, "disk", "memory"}, {"records", f.Records, "soon", "strict"}, {"unrecorded", f.Unrecorded, "deny", "open"},
	} {
		if c.value != "" && c.value != c.standard && c.value != c.other {
			return fmt.Errorf("%s: %q is neither %s nor %s", c.field, c.value, c.standard, c.other)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(f.Doors)) {
		d := f.Doors[id]
		if _, ok := All[d.Driver]; !ok {
			return fmt.Errorf("doors.%s.driver: %q is no driver; there are %s", id, d.Driver, strings.Join(slices.Sorted(maps.Keys(All)), ", "))
		}
		if d.Release < 0 || d.Release > maxRelease || d.Held > maxHeld {
			return fmt.Errorf("doors.%s: release_s is 0 to %d, held_s at most %d", id, maxRelease, maxHeld)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(f.Drivers)) {
		if _, ok := All[name]; !ok {
			return fmt.Errorf("drivers.%s: there is no such driver; there are %s", name, strings.Join(slices.Sorted(maps.Keys(All)), ", "))
		}
	}
	return nil
}

// The greatest times of a door, in seconds.
const (
	maxRelease = 120
	maxHeld    = 24 * 3600
)

// Policy is what holds for all doors.
func (f *File) Policy() edge.Policy {
	return edge.Policy{TagKeyInMemory: f.TagKey == "memory", TPM: f.TPM, Strict: f.Records == "strict", OpenUnrecorded: f.Unrecorded == "open"}
}

// Open opens the drivers that the doors need, each once. Each may keep files in a folder
// of its own below dir.
func (f *File) Open(dir string, now func() time.Time, log *slog.Logger) (map[wire.ID]edge.Door, error) {
	settings := map[string]*driver.Settings{}
	for id, d := range f.Doors {
		s := settings[d.Driver]
		if s == nil {
			s = &driver.Settings{Driver: f.Drivers[d.Driver], Doors: map[wire.ID]json.RawMessage{}, Dir: filepath.Join(dir, d.Driver), Now: now, Log: log.With("driver", d.Driver)}
			settings[d.Driver] = s
		}
		s.Doors[id] = d.Device
	}
	opened := map[string]driver.Driver{}
	var failed []error
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		d, err := All[name](*settings[name])
		if err != nil {
			failed = append(failed, fmt.Errorf("drivers: %s: %w", name, err))
			continue
		}
		opened[name] = d
	}
	if err := errors.Join(failed...); err != nil {
		return nil, err
	}
	doors := map[wire.ID]edge.Door{}
	for id, d := range f.Doors {
		doors[id] = edge.Door{Driver: opened[d.Driver], Settings: d.settings()}
	}
	return doors, nil
}

// Home shows the doors to Home Assistant; nil means that the file asks for none.
func (f *File) Home(log *slog.Logger) (*mqtt.Home, error) {
	if len(f.HomeAssistant) == 0 {
		return nil, nil
	}
	names := map[wire.ID]string{}
	for id, d := range f.Doors {
		names[id] = d.Name
	}
	h, err := mqtt.OpenHome(f.HomeAssistant, names, log)
	if err != nil {
		return nil, fmt.Errorf("drivers: home_assistant: %w", err)
	}
	return h, nil
}

func (d FileDoor) settings() edge.DoorSettings {
	held := seconds(d.Held)
	switch {
	case d.Held == 0:
		held = edge.DefaultHeld
	case d.Held < 0:
		held = 0
	}
	return edge.DoorSettings{Release: seconds(d.Release), Held: held, Sensor: d.Sensor, LockOnClose: d.LockOnClose}
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
