package backup

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// SocketFile is the socket below DATA over which a service hands out the data of a
// backup.
const SocketFile = "backup.sock"

const (
	// maxReaders bounds how many backups are served at once.
	maxReaders = 2
	// stall is how long a reader may pause.
	stall = time.Minute
	// maxAddress is the greatest length of the name of a socket, in bytes, on every
	// system.
	maxAddress = 100
)

// Listen makes the socket of a data directory that the caller has locked. Its mode is
// 0600 under any mode of the directory. A socket that a killed service left is removed.
func Listen(dataDir string) (net.Listener, error) {
	l, err := listen(dataDir, filepath.Join(dataDir, SocketFile))
	if err != nil {
		return nil, fmt.Errorf("backup: make the socket %s: %w", filepath.Join(dataDir, SocketFile), err)
	}
	return l, nil
}

// listen makes the socket in a new directory. There nobody else can open it before it
// has its mode.
func listen(dataDir, path string) (net.Listener, error) {
	own, err := os.MkdirTemp(dataDir, "socket-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(own)
	address, done, err := socketAddress(own, "s")
	if err != nil {
		return nil, err
	}
	defer done()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: address, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // it moves
	if err = os.Chmod(filepath.Join(own, "s"), 0o600); err == nil {
		err = os.Rename(filepath.Join(own, "s"), path)
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return &socket{l, path}, nil
}

type socket struct {
	net.Listener
	path string
}

// Close removes the socket.
func (s *socket) Close() error {
	err := s.Listener.Close()
	if gone := os.Remove(s.path); !errors.Is(gone, fs.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	return err
}

// socketAddress names a socket in a directory by less than the 100 bytes that an
// address may have. Call done when the socket is bound or connected.
func socketAddress(dir, name string) (address string, done func(), err error) {
	if address = filepath.Join(dir, name); len(address) <= maxAddress {
		return address, func() {}, nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), name), func() { d.Close() }, nil
}

// Handler serves the data of a backup to everybody who can open the socket.
func (s Store) Handler(spool string, log *slog.Logger) http.Handler {
	h := &handler{store: s, spool: spool, log: log, readers: make(chan struct{}, maxReaders)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /state", h.bounded(h.state))
	mux.HandleFunc("GET /streams/{stream}", h.bounded(h.stream))
	mux.HandleFunc("GET /vault", h.bounded(h.vault))
	return mux
}

type handler struct {
	store   Store
	spool   string
	log     *slog.Logger
	readers chan struct{}
}

// bounded limits how many requests are answered at once. An error of the answer becomes
// a response that names it.
func (h *handler) bounded(answer func(Source, http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case h.readers <- struct{}{}:
			defer func() { <-h.readers }()
		default:
			http.Error(w, "other backups are under way; try again", http.StatusServiceUnavailable)
			return
		}
		source, err := h.store.Source()
		if err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
			return
		}
		if err := answer(source, w, r); err != nil && r.Context().Err() == nil {
			h.log.Warn("a backup could not be given", "what", r.URL.Path, "error", err)
			http.Error(w, err.Error(), http.StatusInternalServerError) // has an effect only if nothing was sent yet
		}
	}
}

func (h *handler) state(s Source, w http.ResponseWriter, r *http.Request) error {
	st, err := s.State(r.Context())
	if err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(st)
}

// stream sends the messages of a stream and then an end message with the sequence 0.
// The subject of the end message is the error, or empty.
func (h *handler) stream(s Source, w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("stream")
	from, err1 := strconv.ParseUint(r.FormValue("from"), 10, 64)
	until, err2 := strconv.ParseUint(r.FormValue("until"), 10, 64)
	if err := errors.Join(err1, err2); err != nil || !slices.Contains(Streams, name) {
		http.Error(w, "no such stream or range", http.StatusBadRequest)
		return nil
	}
	out := bufio.NewWriterSize(patient{w, http.NewResponseController(w)}, 64<<10)
	var buffer []byte
	err := s.Read(r.Context(), name, from, until, func(m *Message) error {
		buffer = m.append(buffer[:0])
		_, err := out.Write(buffer)
		return err
	})
	end := &Message{}
	if err != nil {
		end.Subject = truncated(err.Error(), maxSubject)
		h.log.Warn("a stream could not be given to a backup", "stream", name, "error", err)
	}
	_, err = out.Write(end.append(nil))
	return errors.Join(err, out.Flush())
}

func truncated(s string, n int) string { return s[:min(len(s), n)] }

// vault makes the copy before it sends it, so that a slow reader does not hold the
// vault.
func (h *handler) vault(s Source, w http.ResponseWriter, r *http.Request) error {
	f, err := spoolFile(h.spool)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := s.Vault(r.Context(), f); err != nil {
		return err
	}
	size, err := f.Seek(0, io.SeekCurrent)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return err
	}
	w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	_, err = io.Copy(patient{w, http.NewResponseController(w)}, f)
	return err
}

// patient sets a deadline for each write.
type patient struct {
	w http.ResponseWriter
	c *http.ResponseController
}

func (p patient) Write(b []byte) (int, error) {
	if err := p.c.SetWriteDeadline(time.Now().Add(stall)); err != nil {
		return 0, err
	}
	return p.w.Write(b)
}

// Serve answers on the socket until the context ends.
func (s Store) Serve(ctx context.Context, l net.Listener, spool string, log *slog.Logger) error {
	server := &http.Server{Handler: s.Handler(spool, log), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: stall, MaxHeaderBytes: 16 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx }}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("backup: the socket: %w", err)
	}
	return nil
}
