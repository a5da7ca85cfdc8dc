package backup

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// ErrUnreachable says that no service answers on the socket of a data directory.
var ErrUnreachable = errors.New("no service answers there")

// Running gives the source of the service that runs on a data directory.
func Running(dataDir string) Source {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		address, done, err := socketAddress(dataDir, SocketFile)
		if err != nil {
			return nil, err
		}
		defer done()
		return (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "unix", address)
	}}
	return &running{filepath.Join(dataDir, SocketFile), &http.Client{Transport: transport}}
}

type running struct {
	path   string
	client *http.Client
}

// get asks the service; its answer comes in time or the context ends.
func (r *running) get(ctx context.Context, path string, query url.Values) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://data"+path+"?"+query.Encode(), nil)
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err
		}
		return nil, fmt.Errorf("backup: %s: %w: %w", r.path, ErrUnreachable, err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	said := strings.TrimSpace(string(text))
	switch {
	case err != nil:
		return nil, fmt.Errorf("backup: %s: %w", r.path, err)
	case resp.StatusCode == http.StatusServiceUnavailable:
		return nil, fmt.Errorf("backup: %s: %w: %s", r.path, ErrBusy, said)
	}
	return nil, fmt.Errorf("backup: the service says: %s", strings.TrimPrefix(said, "backup: "))
}

// State implements [Source].
func (r *running) State(ctx context.Context) (*State, error) {
	body, err := r.get(ctx, "/state", nil)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	var st State
	if err := json.NewDecoder(io.LimitReader(body, 1<<20)).Decode(&st); err != nil {
		return nil, fmt.Errorf("backup: %s: %w: the service stopped while it told where the streams stand: %w", r.path, ErrUnreachable, err)
	}
	return &st, nil
}

// Read implements [Source].
func (r *running) Read(ctx context.Context, stream string, from, until uint64, f func(*Message) error) error {
	if from > until {
		return nil
	}
	body, err := r.get(ctx, "/streams/"+url.PathEscape(stream), url.Values{
		"from": {strconv.FormatUint(from, 10)}, "until": {strconv.FormatUint(until, 10)}})
	if err != nil {
		return err
	}
	defer body.Close()
	for in := bufio.NewReaderSize(body, 64<<10); ; {
		m, err := readMessage(in)
		if err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("backup: %s: %w: the service stopped while it gave %s: %w", r.path, ErrUnreachable, stream, err)
		}
		if m.Seq == 0 && m.Subject != "" {
			return fmt.Errorf("backup: the service says: %s", strings.TrimPrefix(m.Subject, "backup: "))
		}
		if m.Seq == 0 {
			return nil
		}
		if err := f(m); err != nil {
			return err
		}
	}
}

// Vault implements [Source].
func (r *running) Vault(ctx context.Context, w io.Writer) error {
	body, err := r.get(ctx, "/vault", nil)
	if err != nil {
		return err
	}
	defer body.Close()
	if _, err := io.Copy(w, body); err != nil {
		return fmt.Errorf("backup: %s: %w: the service stopped while it gave the vault: %w", r.path, ErrUnreachable, err)
	}
	return nil
}
