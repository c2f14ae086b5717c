package tap

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/msctl/msctl/runtime/tap"
)

const (
	maxLine     = 256 << 10 // bytes of one record
	maxKept     = 64 << 20  // bytes of the messages that are kept for viewers that come later
	maxPrograms = 1024      // connections at once
	helloTime   = 5 * time.Second
	lastReads   = time.Second // limits reading while the hub is closed
	viewerQueue = 8192        // messages that wait for a viewer
)

// Hub collects the records of programs on a loopback address. Create it with [Listen] or [NewHub]. It
// is safe for concurrent use.
type Hub struct {
	listener net.Listener
	secret   string
	slots    chan struct{}
	most     int // bytes of the messages that are kept
	done     sync.WaitGroup

	mu      sync.Mutex // guards what follows
	conns   map[net.Conn]bool
	kept    []Message // a ring: the oldest is at first
	first   int
	weight  int
	viewers map[*Viewer]bool
	closed  bool
}

// Listen returns a hub that collects until it is closed.
func Listen(ctx context.Context) (*Hub, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open the port for the messages of services: %w", err)
	}
	h := &Hub{listener: l, secret: rand.Text(), slots: make(chan struct{}, maxPrograms), most: maxKept, conns: map[net.Conn]bool{}, viewers: map[*Viewer]bool{}}
	h.done.Go(h.accept)
	return h, nil
}

// NewHub returns a hub without an address: it has only what [Hub.Add] adds, of which it keeps that many
// bytes for viewers that come later.
func NewHub(kept int) *Hub { return &Hub{most: kept, viewers: map[*Viewer]bool{}} }

// Env returns the environment variable that makes a program report its messages to the hub.
func (h *Hub) Env(service string) string {
	u := url.URL{Scheme: "tcp", User: url.UserPassword(service, h.secret), Host: h.listener.Addr().String()}
	return tap.Env + "=" + u.String()
}

// Close reads what programs that have ended have reported, and ends all connections and viewers.
func (h *Hub) Close() {
	if h.listener != nil {
		_ = h.listener.Close()
	}
	h.mu.Lock()
	h.closed = true
	for conn := range h.conns {
		_ = conn.SetReadDeadline(time.Now().Add(lastReads))
	}
	h.mu.Unlock()
	h.done.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	for v := range h.viewers {
		h.remove(v)
	}
}

func (h *Hub) accept() {
	for {
		conn, err := h.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // such as too many open files
			<-time.After(10 * time.Millisecond)
			continue
		}
		select {
		case h.slots <- struct{}{}:
			h.done.Go(func() {
				h.read(conn)
				<-h.slots
			})
		default:
			_ = conn.Close()
		}
	}
}

// read reads the records of one program.
func (h *Hub) read(conn net.Conn) {
	defer conn.Close()
	if !h.hold(conn) {
		return
	}
	defer h.release(conn)
	lines := bufio.NewScanner(conn)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	_ = conn.SetReadDeadline(time.Now().Add(helloTime))
	var hello tap.Hello
	if !lines.Scan() || json.Unmarshal(lines.Bytes(), &hello) != nil || hello.Tap != tap.Version ||
		subtle.ConstantTimeCompare([]byte(hello.Secret), []byte(h.secret)) != 1 {
		return
	}
	if !h.unlimit(conn) {
		return
	}
	for lines.Scan() {
		m := Message{}
		if json.Unmarshal(lines.Bytes(), &m) != nil || m.Span == "" && m.Dropped <= 0 {
			m = Message{Dropped: 1}
		}
		m.Service, m.Runtime, m.PID = hello.Service, hello.Runtime, hello.PID
		h.Add(m)
	}
}

func (h *Hub) hold(conn net.Conn) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	h.conns[conn] = true
	return true
}

// unlimit lets the hub wait for records of a program without a limit, unless it is being closed.
func (h *Hub) unlimit(conn net.Conn) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.closed && conn.SetReadDeadline(time.Time{}) == nil
}

func (h *Hub) release(conn net.Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.conns, conn)
}

// Add passes on a message, and keeps it until newer ones need its room.
func (h *Hub) Add(m Message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.kept = append(h.kept, m)
	h.weight += m.Weight()
	for h.weight > h.most {
		h.weight -= h.kept[h.first].Weight()
		h.kept[h.first] = Message{}
		h.first++
	}
	if h.first > len(h.kept)/2 {
		h.kept = append(h.kept[:0:0], h.kept[h.first:]...)
		h.first = 0
	}
	for v := range h.viewers {
		v.offer(m)
	}
}

// Viewer receives the messages of a hub from C, which is closed with the hub. What the viewer does
// not take in time is dropped, and counted by a message with [Message.Dropped].
type Viewer struct {
	C       <-chan Message
	c       chan Message
	hub     *Hub
	dropped int // guarded by the hub
}

// Messages passes the messages that are kept, and then new ones, to pass until ctx ends or the hub is closed, or
// pass returns false. It returns the error of ctx.
func (h *Hub) Messages(ctx context.Context, pass func(Message) bool) error {
	viewer, past := h.View()
	defer viewer.Close()
	for _, m := range past {
		if !pass(m) {
			return nil
		}
	}
	for {
		select {
		case m, ok := <-viewer.C:
			if !ok || !pass(m) {
				return nil
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// View returns a viewer, which must be closed, and the messages that are kept.
func (h *Hub) View() (v *Viewer, past []Message) {
	c := make(chan Message, viewerQueue)
	v = &Viewer{C: c, c: c, hub: h}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		close(c)
	} else {
		h.viewers[v] = true
	}
	return v, append([]Message(nil), h.kept[h.first:]...)
}

// offer passes on a message unless the queue is full. The hub must be locked.
func (v *Viewer) offer(m Message) {
	if v.dropped > 0 {
		select {
		case v.c <- Message{Dropped: v.dropped}:
			v.dropped = 0
		default:
			v.dropped++
			return
		}
	}
	select {
	case v.c <- m:
	default:
		v.dropped++
	}
}

// Close ends the viewer.
func (v *Viewer) Close() {
	v.hub.mu.Lock()
	defer v.hub.mu.Unlock()
	v.hub.remove(v)
}

// remove ends a viewer. The hub must be locked.
func (h *Hub) remove(v *Viewer) {
	if h.viewers[v] {
		delete(h.viewers, v)
		close(v.c)
	}
}
