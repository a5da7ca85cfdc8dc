package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"gatehouse/domain"
	"gatehouse/domain/schedule"
)

// feed tells what happens, no faster than one can read.
type feed struct {
	out   io.Writer
	json  bool
	color bool
	zone  *schedule.Zone
	now   func() time.Time // the real clock

	room    float64   // lines that may be written now
	counted time.Time // when room was; zero: not yet, every line is written
}

const (
	// linesPerSecond and lineBurst are what can be read at a glance. Passages that
	// are allowed leave some of it to those that are denied, and these to commands.
	linesPerSecond = 16
	lineBurst      = 16
	deniedReserve  = 3
	allowedReserve = 5
)

// readLine is a passage, allowed or denied.
type readLine struct {
	Kind     string    `json:"kind"`
	At       time.Time `json:"at"`
	Door     domain.ID `json:"door"`
	DoorName string    `json:"-"`
	Side     string    `json:"side"`
	Person   domain.ID `json:"person"`
	Who      string    `json:"name"`
	Allowed  bool      `json:"allowed"`
	Code     string    `json:"code"`
}

// commandLine is a command that was committed or refused.
type commandLine struct {
	Kind     string    `json:"kind"`
	At       time.Time `json:"at"`
	Command  string    `json:"command"`
	Actor    domain.ID `json:"actor"`
	Who      string    `json:"name"`
	About    string    `json:"about"`
	Count    int       `json:"count"`              // entries of the list
	Position string    `json:"position,omitempty"` // of the commit
	Refused  string    `json:"refused,omitempty"`  // the code
}

// gatewayLine is something that happens at a lock gateway.
type gatewayLine struct {
	Kind    string    `json:"kind"`
	At      time.Time `json:"at"`
	Gateway domain.ID `json:"gateway,omitempty"` // empty: of all
	Event   string    `json:"event"`
	Text    string    `json:"text"`
	MS      float64   `json:"ms,omitempty"` // of enforced: from the command to the receipt
}

// statusLine is where the demo stands.
type statusLine struct {
	Kind string    `json:"kind"`
	At   time.Time `json:"at"`
	Summary
}

func newFeed(c Config, zone *schedule.Zone) *feed {
	return &feed{out: c.Out, json: c.JSON, color: c.Color && !c.JSON, zone: zone, now: time.Now}
}

// limit begins to limit the lines.
func (f *feed) limit() { f.room, f.counted = lineBurst, f.now() }

// takes reports whether there is room for a line beyond a reserve.
func (f *feed) takes(reserve float64) bool {
	if f.counted.IsZero() {
		return true
	}
	now := f.now()
	f.room = min(lineBurst, f.room+now.Sub(f.counted).Seconds()*linesPerSecond)
	f.counted = now
	if f.room < 1+reserve {
		return false
	}
	f.room--
	return true
}

// The colours of a terminal.
const (
	plain  = ""
	faint  = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
	bold   = "1"
)

func (f *feed) paint(color, text string) string {
	if !f.color || color == plain {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

// read tells of a passage.
func (f *feed) read(l readLine) error {
	reserve := float64(deniedReserve)
	if l.Allowed {
		reserve = allowedReserve
	}
	if !f.takes(reserve) {
		return nil
	}
	l.Kind = "read"
	if f.json {
		return f.object(l)
	}
	arrow := "→"
	if l.Side == "out" {
		arrow = "←"
	}
	verdict, code := f.paint(green, "✓ allowed"), f.paint(faint, l.Code)
	if !l.Allowed {
		verdict, code = f.paint(red, "✗ denied "), f.paint(red, l.Code)
	}
	return f.line("%s  %s %s %s %s  %s", f.clock(l.At), column(l.DoorName, 22), f.paint(faint, arrow), column(l.Who, 20), verdict, code)
}

// command tells of a command; a refusal is one too.
func (f *feed) command(l commandLine) error {
	if !f.takes(0) {
		return nil
	}
	l.Kind = "command"
	if f.json {
		return f.object(l)
	}
	name := l.Command
	if l.Count > 1 {
		name += " ×" + strconv.Itoa(l.Count)
	}
	mark, outcome := f.paint(cyan, "◆"), f.paint(cyan, column(l.Position, 9))
	if l.Refused != "" {
		mark, outcome = f.paint(yellow, "◇"), f.paint(yellow, "refused  ")
		l.About += ": " + l.Refused
	}
	return f.line("%s  %s %s %s %s  %s", f.clock(l.At), f.paint(cyan, column(name, 22)), mark, column(l.Who, 20), outcome, l.About)
}

// gateway tells of a lock gateway. Every line is written.
func (f *feed) gateway(l gatewayLine) error {
	l.Kind = "gateway"
	if f.json {
		return f.object(l)
	}
	name := string(l.Gateway)
	if name == "" {
		name = "gateways"
	}
	return f.line("%s  %s %s %s", f.clock(l.At), f.paint(yellow, column(name, 22)), f.paint(yellow, "▣"), l.Text)
}

// day tells that a day begins.
func (f *feed) day(date schedule.Date) error {
	return f.rule(date.Weekday().Name() + " " + date.String())
}

// rule draws a line with a text; in JSON there is none.
func (f *feed) rule(text string) error {
	if f.json {
		return nil
	}
	return f.line("%s", f.paint(bold, strings.TrimSpace("── "+text+" "+strings.Repeat("─", max(0, 80-utf8.RuneCountInString(text))))))
}

// status tells where the demo stands.
func (d *Demo) status(ctx context.Context) error {
	s, err := d.total(ctx, d.doors.gateway.Tally())
	if err != nil {
		return err
	}
	if d.feed.json {
		return d.feed.object(statusLine{"status", d.clock.now(), s})
	}
	denied := uint64(0)
	for _, n := range s.Unlocks.Denied {
		denied += n
	}
	return d.feed.rule(fmt.Sprintf("%s · on site %d · commits %d · allowed %d · denied %d · decision %d ns, p99 %d ns",
		d.feed.clock(d.clock.now()), s.OnSite, s.Commits, s.Unlocks.Allowed, denied, s.DecisionNS.P50, s.DecisionNS.P99))
}

// clock is the time on the clock of the site.
func (f *feed) clock(at time.Time) string {
	l := f.zone.Local(schedule.Nanos(at))
	return l.Weekday.Name()[:3] + " " + l.Time.String()
}

func (f *feed) line(format string, args ...any) error {
	_, err := fmt.Fprintf(f.out, format+"\n", args...)
	return err
}

func (f *feed) object(value any) error {
	b, err := json.Marshal(value)
	if err == nil {
		_, err = f.out.Write(append(b, '\n'))
	}
	return err
}

// column fills or cuts a text to a width in characters.
func column(text string, width int) string {
	n := utf8.RuneCountInString(text)
	if n > width {
		return string([]rune(text)[:width-1]) + "…"
	}
	return text + strings.Repeat(" ", width-n)
}
