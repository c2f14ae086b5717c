package microtcp_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

const (
	connectionClosed = `{"error":{"name":"Error","message":"Connection closed"}}`
	timedOut         = `{"error":{"name":"TimeoutError","message":"Timeout has occurred"}}`
)

// observe makes a call with our client and returns what its caller saw, in the format of the records.
func observe(ctx context.Context, c *micro.Client, req *micro.Request, take int) []string {
	var seen []string
	enough := errors.New("enough")
	err := c.Do(ctx, req, micro.ReplyFunc(func(v micro.Value) error {
		next := `{"next":"(undefined)"}`
		if !v.Undefined() {
			next = `{"next":` + compact(v.Raw) + `}`
		}
		if seen = append(seen, next); len(seen) == take {
			return enough
		}
		return nil
	}))
	var remote *micro.Error
	switch {
	case req.Event && err == nil:
		return []string{`{"emitted":true}`}
	case err == nil || errors.Is(err, enough):
		return append(seen, `{"complete":true}`)
	case errors.As(err, &remote):
		return append(seen, `{"error":`+compact(remote.Payload)+`}`)
	case errors.Is(err, micro.ErrTimeout):
		return append(seen, timedOut)
	case errors.Is(err, micro.ErrConnectionLost):
		return append(seen, connectionClosed)
	}
	return append(seen, fmt.Sprintf(`{"error":%q}`, err))
}

// TestRecordedReplies lets a scripted server answer our client with everything that was answered to NestJS 12, and wants
// our caller to see what NestJS's caller saw.
func TestRecordedReplies(t *testing.T) {
	for _, record := range readRecords[replyRecord](t, "tcp_client_replies.jsonl") {
		t.Run(record.Note, func(t *testing.T) {
			t.Parallel()
			id := make(chan string, 1)
			addr := startScript(t, record.ServerScript, id)
			c := micro.NewClient(microtcp.Dial(addr))
			defer c.Close()
			ctx, cancel := context.WithTimeout(t.Context(), soon)
			if strings.Contains(record.Note, "timeout 400ms") {
				ctx, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
			}
			defer cancel()
			got := observe(ctx, c, &micro.Request{Pattern: micro.Cmd("x")}, 0)
			want := compactAll(record.ClientObserved)
			ours := <-id
			for i := range want {
				want[i] = recordedID.ReplaceAllString(want[i], `"id":`+ours)
			}
			if diff := lineDiff(want, got); diff != "" {
				t.Errorf("the caller saw (-nest +msctl):\n%s", diff)
			}
		})
	}
}

// startScript listens, reads one request, hands out its id and plays the script. It returns its address.
func startScript(t *testing.T, script []any, id chan<- string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- playScript(listener, script, id) }()
	t.Cleanup(func() {
		listener.Close()
		if err := <-done; err != nil {
			t.Errorf("script: %v", err)
		}
	})
	return listener.Addr().String()
}

func playScript(listener net.Listener, script []any, id chan<- string) error {
	conn, err := listener.Accept()
	if err != nil {
		return err
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	header, err := in.ReadString('#')
	if err != nil {
		return err
	}
	length, err := strconv.Atoi(strings.TrimSuffix(header, "#"))
	if err != nil {
		return err
	}
	body := make([]byte, length) // ASCII: units are bytes
	for n := 0; n < length; {
		read, err := in.Read(body[n:])
		if err != nil {
			return err
		}
		n += read
	}
	var request struct {
		ID json.RawMessage `json:"id"`
	}
	if err := json.Unmarshal(body, &request); err != nil {
		return err
	}
	id <- string(request.ID)
	for _, step := range script {
		if err := playStep(conn.(*net.TCPConn), step, string(request.ID)); err != nil {
			return err
		}
	}
	_, _ = in.ReadByte() // until the client leaves
	return nil
}

func playStep(conn *net.TCPConn, step any, id string) error {
	text, _ := step.(string)
	switch raw, isRaw := strings.CutPrefix(text, "RAW:"); {
	case text == "CLOSE":
		return conn.Close()
	case text == "RESET":
		if err := conn.SetLinger(0); err != nil {
			return err
		}
		return conn.Close()
	case isRaw:
		_, err := conn.Write([]byte(raw))
		return err
	case text != "":
		_, err := conn.Write([]byte(nodeFrame(strings.ReplaceAll(text, "%ID%", id))))
		return err
	}
	ms, _ := step.(float64)
	<-time.After(time.Duration(ms * float64(time.Millisecond)))
	return nil
}
