package admission

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"gatehouse/domain"
	"gatehouse/eventstore"
	"gatehouse/eventstore/streams"
)

// ways are what a gateway may try with a subject. The last four are asked of JetStream
// about the stream that holds it.
var ways = []string{"publish", "subscribe", "in a group", "request", "consumer create", "consumer info", "direct get", "stream info"}

// subjects are those that a gateway may try, with the ways that are open to it. The
// gateway is gw-1 of the site north of acme.
var subjects = []struct {
	subject, stream string
	open            []string
}{
	{"control.acme.gw-1.ask", "", []string{"publish", "request"}},
	{"control.acme.gw-1.do", "", []string{"subscribe", "in a group"}},
	{"tables.acme.north", "", []string{"subscribe", "in a group"}},
	{"_INBOX.acme.gw-1.>", "", []string{"subscribe", "in a group"}},

	{"control.acme.gw-2.ask", "", nil}, {"control.acme.gw-2.do", "", nil}, {"control.other.gw-1.ask", "", nil}, {"control.other.gw-1.do", "", nil},
	{"control.*.*.ask", "", nil}, {"control.*.*.do", "", nil}, {"control.acme.gw-1.*", "", nil}, {"control.>", "", nil},
	{"tables.acme.south", "", nil}, {"tables.other.north", "", nil}, {"tables.acme.*", "", nil}, {"tables.>", "", nil},
	{"_INBOX.acme.gw-2.>", "", nil}, {"_INBOX.acme.>", "", nil}, {"_INBOX.>", "", nil}, {"_R_.>", "", nil},
	{"enforced.acme.gw-1", "", nil}, {"enforced.acme.gw-2", "", nil}, {"enforced.>", "", nil},

	{eventstore.Subject("acme"), streams.Ledger, nil}, {"ledger.>", streams.Ledger, nil},
	{"permissions.acme.north", streams.Permissions, nil}, {"permissions.acme.north.base", streams.Permissions, nil}, {"permissions.>", streams.Permissions, nil},
	{"activity.acme.north.gw-1", streams.Activity, nil}, {"activity.acme.north.gw-2", streams.Activity, nil}, {"activity.>", streams.Activity, nil},
	{"refusals.acme", streams.Refusals, nil}, {"refusals.>", streams.Refusals, nil}, {"events.>", "EVENTS", nil}, {"proof.>", "PROOF", nil},

	{"vault.keys", "", nil}, {"vault.>", "", nil}, {"$JS.API.INFO", "", nil}, {"$JS.API.>", "", nil}, {"$JS.ACK.>", "", nil}, {"$JS.>", "", nil}, {"$KV.>", "", nil}, {"$O.>", "", nil},
	{requestSubject, "", nil}, {"$SYS.REQ.SERVER.PING", "", nil}, {"$SYS.>", "", nil}, {"*.acme.>", "", nil}, {">", "", nil},
}

// A gateway that has enrolled reaches its own subjects in the ways that it needs, and
// nothing else. The servers tell it of each refusal. The test prints the table.
func TestAGatewayReachesItsOwnSubjectsAlone(t *testing.T) {
	t.Parallel()
	b := newEmbedded(t)
	i, _ := b.instance()
	i.house("acme", "gw-2")
	key := i.enrolled("acme", "gw-1")
	nc, err := b.dial("acme/gw-1", key, nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	require.NoError(t, err)
	p := newProbe(t, nc, i.conn)
	var table strings.Builder
	lines := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(lines, "subject\t"+strings.Join(ways, "\t"))
	for _, s := range subjects {
		cells := []string{s.subject}
		for _, way := range ways {
			cell := p.try(way, s.subject, s.stream)
			cells = append(cells, cell)
			if cell != "-" {
				assert.Equal(t, slices.Contains(s.open, way), cell == "yes", "%s: %s", s.subject, way)
			}
		}
		fmt.Fprintln(lines, strings.Join(cells, "\t"))
	}
	require.NoError(t, lines.Flush())
	t.Log("\n" + table.String())
	p.heardItsOwnAlone()
}

// enrolled registers a gateway without a key, and enrols it by its code.
func (i *instance) enrolled(org, gateway domain.ID) nkeys.KeyPair {
	i.t.Helper()
	code := domain.EnrolmentKey(strings.Repeat("a1", 32))
	register := &domain.RegisterGateway{Gateway: gateway, Site: "north"}
	register.SetCode(code)
	i.send(org, register)
	key := pair(i.t, nkeys.CreateUser)
	_, err := i.dial(string(org+"/"+gateway), key)
	require.ErrorIs(i.t, err, nats.ErrAuthorization, "it has not enrolled")
	i.send(org, &domain.EnrolGateway{Gateway: gateway, Code: code, PublicKey: domain.GatewayKey(public(i.t, key))})
	return key
}

// probe tries what a gateway may do, and notes what it hears.
type probe struct {
	t           *testing.T
	nc, service *nats.Conn
	heard       chan *nats.Msg // by the gateway, whatever it subscribed to
	sent        chan *nats.Msg // by the gateway, as the service's account hears it
	inbox       string
	answers     *nats.Subscription
	last        error // that the server told
}

// ofGateway marks what the gateway sends, ofService what the service does.
const ofGateway, ofService = "sent by the gateway", "sent by the service"

func newProbe(t *testing.T, nc, service *nats.Conn) *probe {
	t.Helper()
	p := &probe{t: t, nc: nc, service: service, heard: make(chan *nats.Msg, 1024), sent: make(chan *nats.Msg, 1024), inbox: nc.NewInbox()}
	var err error
	p.answers, err = nc.SubscribeSync(p.inbox)
	require.NoError(t, err)
	_, err = service.Subscribe(">", func(m *nats.Msg) {
		if string(m.Data) != ofGateway {
			return
		}
		p.sent <- m
		if m.Reply != "" {
			assert.NoError(t, m.Respond([]byte("answer")))
		}
	})
	require.NoError(t, err)
	require.NoError(t, service.Flush())
	return p
}

// try tries one way with a subject: yes, no, or - where no stream holds it.
func (p *probe) try(way, subject, stream string) string {
	p.t.Helper()
	api := map[string]string{"consumer create": "CONSUMER.CREATE.%s.mine", "consumer info": "CONSUMER.INFO.%s.mine", "direct get": "DIRECT.GET.%s", "stream info": "STREAM.INFO.%s"}
	switch way {
	case "publish":
		require.NoError(p.t, p.nc.Publish(subject, []byte(ofGateway)))
		return p.accepted(`Publish to "` + subject + `"`)
	case "request":
		return p.answered(subject)
	case "subscribe", "in a group":
		group := ""
		if way == "in a group" {
			group = queue // that of the service itself
		}
		sub, err := p.nc.ChanQueueSubscribe(subject, group, p.heard)
		require.NoError(p.t, err)
		cell := p.accepted(`Subscription to "` + subject + `"`)
		if way == "in a group" {
			require.NoError(p.t, sub.Unsubscribe()) // it would hear in the place of the one before
		}
		return cell
	}
	if stream == "" {
		return "-"
	}
	name := "$JS.API." + fmt.Sprintf(api[way], stream)
	cells := []string{p.answered(name)}
	switch way {
	case "consumer create":
		cells = append(cells, p.answered(name+"."+subject), p.answered("$JS.API.CONSUMER.DURABLE.CREATE."+stream+".mine"))
	case "direct get":
		cells = append(cells, p.answered(name+"."+subject), p.answered("$JS.API.STREAM.MSG.GET."+stream))
	}
	if slices.Contains(cells, "yes") {
		return "yes"
	}
	return "no"
}

// accepted reports whether the server took what was sent last.
func (p *probe) accepted(refusal string) string {
	p.t.Helper()
	require.NoError(p.t, p.nc.FlushTimeout(patience))
	before := p.last
	if p.last = p.nc.LastError(); p.last == before {
		return "yes"
	}
	require.ErrorContains(p.t, p.last, refusal)
	return "no"
}

// answered reports whether a request was taken; one that was is answered.
func (p *probe) answered(subject string) string {
	p.t.Helper()
	require.NoError(p.t, p.nc.PublishRequest(subject, p.inbox, []byte(ofGateway)))
	cell := p.accepted(`Publish to "` + subject + `"`)
	if cell == "yes" && !strings.ContainsAny(subject, "*>") {
		_, err := p.answers.NextMsg(patience)
		require.NoError(p.t, err, subject)
	}
	return cell
}

// heardItsOwnAlone has the service send on everything, and compares what arrived on
// either side with what may.
func (p *probe) heardItsOwnAlone() {
	p.t.Helper()
	own := []string{"control.acme.gw-1.do", "tables.acme.north"}
	for _, s := range subjects {
		if name := strings.NewReplacer("*", "any", ">", "any").Replace(s.subject); !strings.HasPrefix(name, "$") && s.stream == "" {
			require.NoError(p.t, p.service.Publish(name, []byte(ofService)))
		}
	}
	for _, name := range own { // the last: what was sent before is heard before
		require.NoError(p.t, p.service.Publish(name, []byte("end")))
	}
	heard := map[string]int{}
	for ends := 0; ends < len(own); {
		var m *nats.Msg
		select {
		case m = <-p.heard:
		case <-time.After(patience):
			require.Fail(p.t, "the gateway hears nothing")
		}
		if string(m.Data) == "end" {
			ends++
		} else if string(m.Data) == ofService {
			heard[m.Subject]++
		}
	}
	assert.Equal(p.t, map[string]int{own[0]: 1, own[1]: 1}, heard, "what the gateway hears")
	require.NoError(p.t, p.service.FlushTimeout(patience))
	for len(p.sent) > 0 {
		assert.Equal(p.t, "control.acme.gw-1.ask", (<-p.sent).Subject, "what the service's account hears")
	}
	assert.Zero(p.t, len(p.heard))
}
