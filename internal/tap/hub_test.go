package tap

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/runtime/tap"
)

func listen(t *testing.T) *Hub {
	t.Helper()
	h, err := Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

// reporter returns the reporter of a program that the hub's environment variable is given to.
func reporter(t *testing.T, h *Hub, service string) *tap.Reporter {
	t.Helper()
	value, _ := strings.CutPrefix(h.Env(service), tap.Env+"=")
	r, err := tap.Parse(value)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func TestHub(t *testing.T) {
	h := listen(t)
	viewer, past := h.View()
	defer viewer.Close()
	if len(past) > 0 {
		t.Errorf("%d messages before the first", len(past))
	}
	orders, items := reporter(t, h, "orders"), reporter(t, h, "items & more")
	sent := orders.Start(&tap.Span{Kind: tap.Send, Pattern: "a"}, tap.Ref{})
	items.Start(&tap.Span{Kind: tap.Handle, Pattern: "a"}, sent.Ref()).End(tap.OK, nil)
	items.Close()
	first := ended(viewer)
	sent.End(tap.OK, nil)
	orders.Close()
	second := ended(viewer)
	if first.Service != "items & more" || second.Service != "orders" || first.Record.Parent != second.Span || first.Trace != second.Trace {
		t.Errorf("got %+v and %+v", first, second)
	}
	later, past := h.View()
	later.Close()
	past = slices.DeleteFunc(past, func(m Message) bool { return m.Open })
	if diff := cmp.Diff([]Message{first, second}, past); diff != "" {
		t.Error(diff)
	}
}

// ended returns the next message that has ended. On a busy machine, it was reported before that, too.
func ended(v *Viewer) Message {
	for {
		if m := <-v.C; !m.Open {
			return m
		}
	}
}

// TestStrangers checks that programs without the secret do not reach the hub, and that lines that are no
// records are counted.
func TestStrangers(t *testing.T) {
	h := listen(t)
	viewer, _ := h.View()
	defer viewer.Close()
	hello := func(secret string) string { return fmt.Sprintf(`{"tap":1,"secret":%q,"service":"x"}`+"\n", secret) }
	const record = `{"kind":"emit","span":"0000000000000001","trace":"00000000000000000000000000000001","pattern":"p"}` + "\n"
	for _, text := range []string{
		"", "\n", "GET / HTTP/1.1\r\n\r\n", record, hello("") + record, hello("wrong") + record, hello(h.secret[1:]) + record,
		`{"tap":2,"secret":"` + h.secret + `"}` + "\n" + record, strings.Repeat("x", 2*maxLine),
	} {
		exchange(t, h, text)
	}
	exchange(t, h, hello(h.secret)+"no json\n"+`{"dropped":3}`+"\n{}\n"+record)
	var got []int
	for range 4 {
		m := <-viewer.C
		if m.Service != "x" {
			t.Errorf("a record of a stranger arrived: %+v", m)
		}
		got = append(got, m.Dropped)
	}
	if diff := cmp.Diff([]int{1, 3, 1, 0}, got); diff != "" {
		t.Error(diff)
	}
}

// exchange sends text to the hub, and returns when the hub has closed the connection.
func exchange(t *testing.T, h *Hub, text string) {
	t.Helper()
	conn, err := net.Dial("tcp", h.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, text) // fails when the hub has closed it
	_ = conn.(*net.TCPConn).CloseWrite()
	_, _ = io.Copy(io.Discard, conn)
}

// TestRetention checks that old messages make room for new ones.
func TestRetention(t *testing.T) {
	h := listen(t)
	body := []byte(`"` + strings.Repeat("x", 1<<20) + `"`)
	const sent = 200
	for i := range sent {
		h.Add(Message{Record: tap.Record{Span: fmt.Sprint(i), Data: body}})
	}
	viewer, past := h.View()
	viewer.Close()
	if n := len(past); n < 50 || n*len(body) > maxKept || past[n-1].Span != fmt.Sprint(sent-1) {
		t.Errorf("%d messages are kept", n)
	}
}

// TestSlowViewer checks that a viewer that does not keep up delays no program, and learns what it missed.
func TestSlowViewer(t *testing.T) {
	h := listen(t)
	viewer, _ := h.View()
	defer viewer.Close()
	const sent = viewerQueue + 100
	for i := range sent {
		h.Add(Message{Record: tap.Record{Span: fmt.Sprint(i)}})
	}
	for range viewerQueue {
		<-viewer.C
	}
	h.Add(Message{Record: tap.Record{Span: "last"}})
	missing, last := <-viewer.C, <-viewer.C
	if missing.Dropped != 100 || last.Span != "last" {
		t.Errorf("got %+v and %+v", missing, last)
	}
}
