package mqtt

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

const (
	keepAlive  = 20 * time.Second // how often the broker hears from us; it misses us after half as long again
	patience   = 10 * time.Second // for an answer of the broker
	goodbye    = 500 * time.Millisecond
	perPacket  = 50   // topics of a packet that subscribes
	refusedQoS = 0x80 // of a subscription that the broker refuses (MQTT 3.1.1, section 3.9.3)
)

// session is one connection to the broker. A lost one is never taken up again: the next
// has a client of its own with a clean session, so that nothing which was sent or
// queued before can arrive late.
type session struct {
	client paho.Client
	conn   net.Conn
	lost   chan error
}

// connect opens a session. take gets the messages in their order, and must not block.
func (s *settings) connect(ctx context.Context, take func(message)) (*session, error) {
	password, err := s.password()
	if err != nil {
		return nil, err
	}
	config, err := s.tls()
	if err != nil {
		return nil, err
	}
	out := &session{lost: make(chan error, 1)}
	o := paho.NewClientOptions().
		AddBroker("tcp://" + s.address).
		SetClientID(s.ClientID).
		SetProtocolVersion(4). // 3.1.1, which the NATS server speaks too
		SetCleanSession(true).
		SetAutoReconnect(false).
		SetKeepAlive(keepAlive).
		SetPingTimeout(patience).
		SetConnectTimeout(patience).
		SetWriteTimeout(patience).
		SetOrderMatters(true).
		SetConnectionLostHandler(func(_ paho.Client, err error) { out.lost <- err }).
		SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) {
			take(message{topic: m.Topic(), payload: m.Payload(), retained: m.Retained()})
		}).
		SetCustomOpenConnectionFn(func(*url.URL, paho.ClientOptions) (net.Conn, error) {
			conn, err := s.dial(ctx, config)
			out.conn = conn
			return conn, err
		})
	if s.User != "" {
		o.SetUsername(s.User).SetPassword(password)
	}
	if s.StatusTopic != "" {
		o.SetWill(s.StatusTopic, "offline", 1, true)
	}
	out.client = paho.NewClient(o)
	if err := wait(ctx, out.client.Connect()); err != nil {
		out.client.Disconnect(0)
		return nil, fmt.Errorf("mqtt: connect to %s: %w", s.address, err)
	}
	return out, nil
}

func (s *settings) dial(ctx context.Context, config *tls.Config) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	d := net.Dialer{Control: forgetUnsent}
	conn, err := d.DialContext(ctx, "tcp", s.address)
	if err != nil {
		return nil, err
	}
	if config != nil {
		secure := tls.Client(conn, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, err
		}
		conn = secure
	}
	return &bounded{Conn: conn}, nil
}

// wait waits for the broker, at most for patience.
func wait(ctx context.Context, t paho.Token) error {
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case <-t.Done():
		return t.Error()
	case <-ctx.Done():
		return ctx.Err()
	case <-timeout.C:
		return errors.New("the broker does not answer")
	}
}

// subscribe subscribes to topics, and returns those that the broker refuses. A refusal is
// no error of the protocol, and goes unseen unless the granted QoS is read.
func (s *session) subscribe(ctx context.Context, topics []string) (refused []string, err error) {
	for part := range slices.Chunk(topics, perPacket) {
		filters := map[string]byte{}
		for _, topic := range part {
			filters[topic] = 1
		}
		token := s.client.SubscribeMultiple(filters, nil)
		if err := wait(ctx, token); err != nil {
			return nil, fmt.Errorf("mqtt: subscribe: %w", err)
		}
		granted := token.(*paho.SubscribeToken).Result()
		for _, topic := range part {
			if qos, ok := granted[topic]; !ok || qos >= refusedQoS {
				refused = append(refused, topic)
			}
		}
	}
	return refused, nil
}

// send sends a message. Retained ones have QoS 1, all others QoS 0: see order.
func (s *session) send(ctx context.Context, topic, payload string, retained bool) error {
	qos := byte(0)
	if retained {
		qos = 1
	}
	return wait(ctx, s.client.Publish(topic, qos, retained, payload))
}

// leave ends the session. If the context ended, it says goodbye at the status topic;
// otherwise something is wrong, and the broker is left to publish the last will.
func (s *session) leave(ctx context.Context, status string) {
	if ctx.Err() == nil {
		_ = s.conn.Close()
		s.client.Disconnect(0)
		return
	}
	if status != "" {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		_ = s.send(ctx, status, "offline", true) // or the broker misses us soon
	}
	s.client.Disconnect(uint(goodbye.Milliseconds()))
}
