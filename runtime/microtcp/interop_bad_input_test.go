package microtcp_test

import (
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/msctl/msctl/runtime/microtcp"
)

// settle is how long a server may have to do what it must not do.
const settle = 60 * time.Millisecond

// TestRecordedBadInput sends our server everything that was sent to NestJS 12.1.1 to see what it bears: the replies, the
// end of the connection, whether it can still be used, and how many handlers ran must be the same.
func TestRecordedBadInput(t *testing.T) {
	for _, record := range readRecords[inputRecord](t, "tcp_bad_input.jsonl") {
		t.Run(record.Note, func(t *testing.T) {
			t.Parallel()
			w := startTwin(t, record.ServerOptions.options()...)
			peer := dialRaw(t, w.addr)
			closed := strings.Contains(record.Connection, "FIN")
			closedFirst := closed && record.StillUsable == nil
			release := func() {}
			if closedFirst && len(record.Replies) == 0 {
				release = w.hold()
				defer release()
			}
			play(t, peer, record)

			eventually(func() bool {
				frames, end := peer.received()
				return w.handled() >= record.HandlerRuns && len(frames) >= len(record.Replies) && (end != nil) == closedFirst
			})
			release()
			<-time.After(settle)
			frames, end := peer.received()
			slices.Sort(frames) // our replies to requests side by side may come in any order
			if diff := lineDiff(wantedAnswers(record), frames); diff != "" {
				t.Errorf("replies (-nest +msctl):\n%s", diff)
			}
			if got := w.handled(); got != record.HandlerRuns {
				t.Errorf("handlers ran %d times, in NestJS %d", got, record.HandlerRuns)
			}
			if record.StillUsable != nil {
				end = probe(t, peer, *record.StillUsable, closed)
			}
			if closed && !errors.Is(end, io.EOF) || !closed && end != nil {
				t.Errorf("the connection ended with %v, in NestJS: %s", end, record.Connection)
			}
		})
	}
}

// options are our names for NestJS's limits.
func (l nodeLimits) options() []microtcp.ListenOption {
	var opts []microtcp.ListenOption
	if l.MaxBufferSize > 0 {
		opts = append(opts, microtcp.WithMaxBufferSize(l.MaxBufferSize))
	}
	if l.IncompleteMessageTimeout > 0 {
		opts = append(opts, microtcp.WithIncompleteMessageTimeout(time.Duration(l.IncompleteMessageTimeout)*time.Millisecond))
	}
	return opts
}

// play sends what was sent, with pauses twice as long: they decide what arrives in one read, on a busy machine too.
func play(t *testing.T, peer *rawPeer, record inputRecord) {
	t.Helper()
	for _, step := range record.Sent {
		switch {
		case step.DelayMs > 0:
			<-time.After(2 * time.Duration(step.DelayMs) * time.Millisecond)
		case step.Fin:
			if err := peer.CloseWrite(); err != nil {
				t.Fatal(err)
			}
		default:
			peer.send(t, string(step.Bytes))
		}
	}
}

// wantedAnswers are the recorded replies. A JavaScript object that is decoded and encoded again has its integer-like keys
// first; our echo passes the text through.
func wantedAnswers(record inputRecord) []string {
	if record.Note == "object key order in data: integer keys first" {
		return []string{strings.Replace(record.Replies[0], `{"1":1,"2":1,"b":1,"a":1}`, `{"b":1,"2":1,"a":1,"1":1}`, 1)}
	}
	return slices.Sorted(slices.Values(record.Replies))
}

// probe sends one more good frame, wants it answered or not, and returns how the connection ended.
func probe(t *testing.T, peer *rawPeer, usable, closed bool) error {
	t.Helper()
	const answer = `{"response":1,"isDisposed":true,"id":"probe"}`
	peer.send(t, nodeFrame(`{"pattern":"echo","data":1,"id":"probe"}`))
	answered := func() bool {
		frames, _ := peer.received()
		return len(frames) > 0 && strings.HasSuffix(frames[len(frames)-1], answer)
	}
	if usable || closed {
		eventually(func() bool {
			_, end := peer.received()
			return answered() || end != nil
		})
	} else {
		<-time.After(settle)
	}
	if answered() != usable {
		t.Errorf("a good frame afterwards is answered: %v, in NestJS: %v", answered(), usable)
	}
	_, end := peer.received()
	return end
}

// TestFloodOfBadFrames sends 100,000 bad frames of every kind on record, over a thousand connections, and wants no
// goroutine and no memory to stay behind.
func TestFloodOfBadFrames(t *testing.T) {
	w := startTwin(t)
	harmless, closing := floodInputs(t)
	// A warm-up first: pools, tables and workers that stay are no growth.
	flood(t, w.addr, harmless, 5_000, 200)
	flood(t, w.addr, closing, 5_000, 10)
	goroutines, heap := measureAtRest(t, 0)
	ran := w.handled()
	flood(t, w.addr, harmless, 90_000, 200)
	flood(t, w.addr, closing, 10_000, 10)
	_, after := measureAtRest(t, goroutines)
	if grown := int64(after) - int64(heap); grown > 4<<20 {
		t.Errorf("the heap grew by %d KiB over 100,000 bad frames", grown>>10)
	}
	if ran = w.handled() - ran; ran < 20_000 {
		t.Errorf("only %d handlers ran: were the frames read?", ran)
	}
	peer := dialRaw(t, w.addr)
	peer.send(t, nodeFrame(`{"pattern":"echo","data":1,"id":"1"}`))
	if got := peer.await(1); len(got) != 1 {
		t.Errorf("afterwards a good frame was answered with %q", got)
	}
}

// floodInputs returns the recorded inputs of one write after which NestJS kept the connection, and those after which it
// closed it.
func floodInputs(t *testing.T) (harmless, closing [][]byte) {
	t.Helper()
	for _, record := range readRecords[inputRecord](t, "tcp_bad_input.jsonl") {
		switch {
		case record.ServerOptions != (nodeLimits{}) || strings.Contains(record.Note, "nested"):
		case record.Connection == "open" && record.StillUsable != nil && *record.StillUsable && len(record.Sent) == 1:
			harmless = append(harmless, record.Sent[0].Bytes)
		case strings.HasPrefix(record.Connection, "closed"):
			closing = append(closing, record.Sent[0].Bytes)
		}
	}
	return harmless, closing
}

// flood sends n inputs, each of them in a write of its own, some on each connection, and leaves each connection when the
// server has read all and closed it.
func flood(t *testing.T, addr string, inputs [][]byte, n, each int) {
	t.Helper()
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			for first := worker * each; first < n; first += 4 * each {
				if err := sendFrom(addr, inputs, first, each); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
}

// sendFrom writes count inputs, beginning with the given one, on one connection and
// waits for the server to close it.
func sendFrom(addr string, inputs [][]byte, first, count int) error {
	conn, err := net.DialTimeout("tcp", addr, soon)
	if err != nil {
		return err
	}
	peer := conn.(*net.TCPConn)
	defer peer.Close()
	var writing sync.WaitGroup
	writing.Go(func() { // concurrently with reading: a server whose replies are not read stops reading
		for i := range count {
			_, _ = peer.Write(inputs[(first+i)%len(inputs)]) // fails if the server has closed the connection
		}
		_ = peer.CloseWrite()
	})
	_ = peer.SetReadDeadline(time.Now().Add(soon))
	_, err = io.Copy(io.Discard, peer)
	writing.Wait()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errors.New("the server did not close a connection that its peer had closed")
	}
	return nil
}

// measureAtRest waits until no more than the given number of goroutines is left (0: until the number stays the same) and
// returns it with the bytes in use. The server's idle workers, of which it keeps a bounded number, are not counted.
func measureAtRest(t *testing.T, goroutines int) (int, uint64) {
	t.Helper()
	last, same := 0, 0
	if !eventually(func() bool {
		runtime.GC()
		n := busyGoroutines()
		if n == last {
			same++
		} else {
			last, same = n, 0
		}
		return same >= 5 && (goroutines == 0 || n <= goroutines)
	}) {
		t.Errorf("%d goroutines are left, %d before:\n%s", last, goroutines, stacks())
	}
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return last, stats.HeapAlloc
}

func busyGoroutines() int {
	n := 0
	for stack := range strings.SplitSeq(stacks(), "\n\n") {
		if !strings.Contains(stack, "micro.(*workers).loop") {
			n++
		}
	}
	return n
}

func stacks() string {
	buf := make([]byte, 16<<20)
	return string(buf[:runtime.Stack(buf, true)])
}
