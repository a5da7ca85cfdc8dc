package mqtt

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The bounds of what is read from files and settings.
const (
	maxTopic    = 256      // bytes of a topic
	maxSecret   = 4 << 10  // bytes of the file with the password
	maxCerts    = 1 << 20  // bytes of a file with certificates or a key
	maxSettings = 64 << 10 // bytes of the settings of a driver or a door
)

// settings is the driver's section of the gateway's file. The README has an example of
// each field.
type settings struct {
	Broker       string  `json:"broker"`                  // mqtt://host:1883 or mqtts://host:8883
	User         string  `json:"user,omitempty"`          // empty: the broker asks for none
	PasswordFile string  `json:"password_file,omitempty"` // read at each connection, so that it can be changed
	CAFile       string  `json:"ca_file,omitempty"`       // PEM; empty: the authorities of the system
	CertFile     string  `json:"cert_file,omitempty"`     // PEM, of the client
	KeyFile      string  `json:"key_file,omitempty"`
	ClientID     string  `json:"client_id,omitempty"`    // empty: one of this start
	StatusTopic  string  `json:"status_topic,omitempty"` // where the driver's own birth and will go; empty: none
	Discovery    *string `json:"discovery,omitempty"`    // prefix of Home Assistant's discovery; none: homeassistant, empty: off
	Fire         *part   `json:"fire,omitempty"`         // the fire input of the whole gateway
	address      string
	secure       bool
}

// decode reads settings strictly, so that a misspelt field is told and not passed over.
func decode(raw json.RawMessage, into any) error {
	if len(raw) > maxSettings {
		return fmt.Errorf("the settings have %d bytes, the most is %d", len(raw), maxSettings)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is text behind the settings")
	}
	return nil
}

// readSettings checks the driver's section.
func readSettings(raw json.RawMessage) (*settings, error) {
	var s settings
	if len(raw) == 0 {
		return nil, errors.New("mqtt: broker is missing, as in mqtt://broker.example:1883")
	}
	if err := decode(raw, &s); err != nil {
		return nil, fmt.Errorf("mqtt: read the driver's settings: %w", err)
	}
	return &s, s.check()
}

// check checks the settings, and fills in what is left out.
func (s *settings) check() error {
	if err := s.checkBroker(); err != nil {
		return err
	}
	if (s.CertFile == "") != (s.KeyFile == "") {
		return errors.New("mqtt: cert_file and key_file go together, one of them is empty")
	}
	if s.PasswordFile != "" && s.User == "" {
		return errors.New("mqtt: password_file needs a user")
	}
	if !s.secure && (s.CAFile != "" || s.CertFile != "") {
		return fmt.Errorf("mqtt: ca_file and cert_file need a broker of mqtts, not %s", s.Broker)
	}
	if s.StatusTopic != "" {
		if err := checkTopic(s.StatusTopic); err != nil {
			return fmt.Errorf("mqtt: status_topic: %w", err)
		}
	}
	if s.Discovery == nil {
		prefix := "homeassistant"
		s.Discovery = &prefix
	}
	if *s.Discovery != "" {
		if err := checkTopic(*s.Discovery); err != nil {
			return fmt.Errorf("mqtt: discovery: %w", err)
		}
	}
	if s.ClientID == "" {
		// Two clients with one id throw each other out, so each start has its own. The
		// session is clean, so nothing is kept under it.
		var random [6]byte
		_, _ = rand.Read(random[:])
		s.ClientID = "gatehouse-" + hex.EncodeToString(random[:])
	}
	if len(s.ClientID) > 64 || strings.ContainsFunc(s.ClientID, func(c rune) bool { return !unicode.IsGraphic(c) || c == ' ' }) {
		return fmt.Errorf("mqtt: client_id %.64q has more than 64 bytes, or a blank", s.ClientID)
	}
	if err := s.Fire.check(); err != nil {
		return fmt.Errorf("mqtt: fire: %w", err)
	}
	return nil
}

func (s *settings) checkBroker() error {
	u, err := url.Parse(s.Broker)
	if err != nil || u.Hostname() == "" {
		return fmt.Errorf("mqtt: broker %.100q is no address, as mqtt://broker.example:1883", redacted(s.Broker))
	}
	if u.User != nil {
		return errors.New("mqtt: broker holds a user; write user and password_file instead, so that no password stands in the settings")
	}
	if u.Path != "" && u.Path != "/" || u.RawQuery != "" {
		return fmt.Errorf("mqtt: broker %.100q has a path; only host and port count", s.Broker)
	}
	port := u.Port()
	switch u.Scheme {
	case "mqtt", "tcp":
		if port == "" {
			port = "1883"
		}
	case "mqtts", "ssl", "tls":
		s.secure = true
		if port == "" {
			port = "8883"
		}
	default:
		return fmt.Errorf("mqtt: broker has the scheme %.20q; it is mqtt or mqtts", u.Scheme)
	}
	s.address = net.JoinHostPort(u.Hostname(), port)
	return nil
}

// redacted leaves out what may be a password.
func redacted(address string) string {
	if i := strings.LastIndexByte(address, '@'); i >= 0 {
		return "…" + address[i:]
	}
	return address
}

// checkTopic says what is wrong with the name of a topic. Wildcards are refused: one in
// a setting would let a door listen to another.
func checkTopic(topic string) error {
	switch {
	case topic == "":
		return errors.New("the topic is empty")
	case len(topic) > maxTopic:
		return fmt.Errorf("the topic has %d bytes, the most is %d", len(topic), maxTopic)
	case !utf8.ValidString(topic) || strings.ContainsFunc(topic, unicode.IsControl):
		return fmt.Errorf("the topic %q holds what is no text", topic)
	case strings.ContainsAny(topic, "+#"):
		return fmt.Errorf("the topic %q holds a wildcard (+ or #); name one topic", topic)
	case topic[0] == '$':
		return fmt.Errorf("the topic %q begins with $, which belongs to the broker", topic)
	case strings.HasPrefix(topic, "/") || strings.HasSuffix(topic, "/"):
		return fmt.Errorf("the topic %q begins or ends with a slash", topic)
	}
	return nil
}

// password reads the password; the error never repeats it.
func (s *settings) password() (string, error) {
	if s.PasswordFile == "" {
		return "", nil
	}
	text, err := readFile(s.PasswordFile, maxSecret)
	if err != nil {
		return "", fmt.Errorf("mqtt: password_file: %w", err)
	}
	return strings.TrimRight(string(text), "\r\n"), nil
}

// tls makes the settings of a secure connection; nil means that it is not secure.
func (s *settings) tls() (*tls.Config, error) {
	if !s.secure {
		return nil, nil
	}
	host, _, _ := net.SplitHostPort(s.address)
	config := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if s.CAFile != "" {
		pem, err := readFile(s.CAFile, maxCerts)
		if err != nil {
			return nil, fmt.Errorf("mqtt: ca_file: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("mqtt: ca_file %s holds no certificate in PEM", s.CAFile)
		}
	}
	if s.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(s.CertFile, s.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("mqtt: cert_file and key_file: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

func readFile(name string, most int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > most {
		return nil, fmt.Errorf("%s has more than %d bytes", name, most)
	}
	return b, nil
}
