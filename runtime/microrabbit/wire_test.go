package microrabbit

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// deliverFrames returns the frames of a delivered message.
func deliverFrames(channel uint16, tag uint64, key, body string, frameMax int) []byte {
	b := beginMethod(nil, channel, basicDeliver)
	b = appendShort(b, "consumer")
	b = binary.BigEndian.AppendUint64(b, tag)
	b = append(b, 0)
	b = endFrame(appendShort(appendShort(b, ""), key), 0)
	frames := appendPublish(nil, channel, &publishing{properties: properties{messageID: "m" + key}, body: []byte(body)}, frameMax)
	method := frameHead + int(binary.BigEndian.Uint32(frames[3:])) + 1
	return append(b, frames[method:]...) // a published message has the same header and body
}

// driverFrame returns a frame for the driver.
func driverFrame(channel uint16, method uint32, rest string) []byte {
	b := beginFrame(nil, frameMethod, channel)
	b = binary.BigEndian.AppendUint32(b, method)
	return endFrame(append(b, rest...), 0)
}

const heartbeat = "\x08\x00\x00\x00\x00\x00\x00\xce"

// TestReadSplit checks that no matter how a stream is split into reads, messages go to
// their plane, and everything else goes to the driver.
func TestReadSplit(t *testing.T) {
	openOk := driverFrame(2, classChannel<<16|channelOpenOk, "\x00\x00\x00\x00")
	var stream, theirs []byte
	var want []string
	add := func(b []byte) { stream = append(stream, b...) }
	driver := func(b []byte) { add(b); theirs = append(theirs, b...) }
	driver(openOk)
	for i, body := range []string{"", "one", strings.Repeat("long ", 100), "é😀"} {
		key := fmt.Sprint("k", i)
		add(deliverFrames(2, uint64(i+1), key, body, 64))
		want = append(want, fmt.Sprint(i+1, key, "m", key, body))
		driver([]byte(heartbeat))
		driver(driverFrame(2, classBasic<<16|21, "\x01c")) // consume-ok
		driver(deliverFrames(1, 1, "other", "channel", 64))
		ack := appendAck(nil, 2, uint64(i), true)
		add(ack)
		want = append(want, fmt.Sprint("confirmed ", i, true, true))
	}
	for _, size := range []int{1, 2, 7, 8, 13, 100, 1 << 20} {
		ours, broker := net.Pipe()
		w := newSocket(ours)
		var got []string
		idle := 0
		attach := func() {
			p := &plane{
				deliver: func(in *incoming) {
					got = append(got, fmt.Sprint(in.tag, string(in.key), string(in.messageID), string(in.body)))
				},
				confirmed: func(tag uint64, multiple, ack bool) {
					got = append(got, fmt.Sprint("confirmed ", tag, multiple, ack))
				},
				idle: func() bool { idle++; return true },
			}
			if w.attach(p); p.channel != 2 {
				t.Errorf("attached to channel %d", p.channel)
			}
		}
		go w.out.run()
		go w.lead()
		attached := make(chan struct{})
		go func() {
			_, _ = broker.Write(openOk)
			<-attached
			for rest := stream[len(openOk):]; len(rest) > 0; {
				n := min(size, len(rest))
				_, _ = broker.Write(rest[:n])
				rest = rest[n:]
			}
			_ = broker.Close()
		}()
		head := make([]byte, len(openOk))
		if _, err := io.ReadFull(w, head); err != nil {
			t.Fatal(err)
		}
		attach()
		close(attached)
		read, err := io.ReadAll(w)
		if err != nil {
			t.Fatal(err)
		}
		if read = slices.Concat(head, read); !bytes.Equal(theirs, read) {
			t.Errorf("by %d bytes, the driver got %q, want %q", size, read, theirs)
		}
		if diff := cmp.Diff(want, got); diff != "" || idle == 0 {
			t.Errorf("by %d bytes, the plane (idle %d times): %s", size, idle, diff)
		}
		_ = w.Close()
		<-w.ended
	}
}

// TestBadFrames checks that an invalid frame ends the connection with a reason.
func TestBadFrames(t *testing.T) {
	message := deliverFrames(2, 1, "k", "body", 64)
	noEnd := bytes.Clone(message)
	noEnd[frameHead+int(binary.BigEndian.Uint32(noEnd[3:]))] = 0
	tooLong := driverFrame(2, classBasic<<16|basicDeliver, "")
	binary.BigEndian.PutUint32(tooLong[3:], frameLimit+1)
	tests := map[string]struct {
		stream []byte
		want   string
	}{
		"no end marker":        {noEnd, "it has no end marker"},
		"too long":             {tooLong, "it has 131073 bytes"},
		"a short method":       {driverFrame(2, classBasic<<16|basicDeliver, "\x05a"), "shorter than"},
		"a short ack":          {driverFrame(2, classBasic<<16|basicAck, "\x05a"), "shorter than"},
		"a short header":       {append(driverFrame(2, classBasic<<16|basicDeliver, "\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00"), endFrame(append(beginFrame(nil, frameHeader, 2), 0, 60), 0)...), "shorter than"},
		"closed by the broker": {nil, "EOF"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			ours, broker := net.Pipe()
			w := newSocket(ours)
			w.opened.Store(2)
			w.attach(&plane{deliver: func(*incoming) { t.Error("delivered") }, confirmed: func(uint64, bool, bool) { t.Error("confirmed") }})
			go w.out.run()
			go w.lead()
			go func() {
				_, _ = broker.Write(tt.stream)
				_ = broker.Close()
			}()
			_, err := io.ReadAll(readError{w})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			<-w.ended
		})
	}
}

// readError is a reader that returns an error other than io.EOF at the end.
type readError struct{ io.Reader }

func (r readError) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("EOF: %w", net.ErrClosed)
	}
	return n, err
}

// TestWritesDoNotMix checks that frames added with put never end up inside a frame that
// the driver is writing, no matter how the driver splits its writes.
func TestWritesDoNotMix(t *testing.T) {
	for _, inline := range []bool{false, true} {
		ours, broker := net.Pipe()
		w := newSocket(ours)
		w.out.inline = inline
		go w.out.run()
		var all sync.WaitGroup
		const each = 300
		driver := append([]byte("AMQP\x00\x00\x09\x01"), bytes.Repeat(driverFrame(0, 10<<16|31, strings.Repeat("tune", 50)), each)...)
		all.Go(func() {
			for rest := driver; len(rest) > 0; {
				n := min(1+rand.IntN(300), len(rest))
				if _, err := w.Write(rest[:n]); err != nil {
					t.Error(err)
					return
				}
				rest = rest[n:]
			}
		})
		for channel := range uint16(4) {
			all.Go(func() {
				for i := range each {
					err := w.out.put(t.Context(), time.Now().Add(time.Minute), func(dst []byte) []byte { return appendAck(dst, channel+1, uint64(i), false) })
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		counts := map[uint16]int{}
		head := make([]byte, preamble)
		if _, err := io.ReadFull(broker, head); err != nil || string(head[:4]) != "AMQP" {
			t.Fatal(string(head), err)
		}
		frame := make([]byte, 1<<10)
		for range 5 * each {
			if _, err := io.ReadFull(broker, frame[:frameHead]); err != nil {
				t.Fatal(err)
			}
			n := int(binary.BigEndian.Uint32(frame[3:]))
			if n > 500 {
				t.Fatalf("a frame of %d bytes", n)
			}
			if _, err := io.ReadFull(broker, frame[frameHead:frameHead+n+1]); err != nil || frame[frameHead+n] != frameEnd {
				t.Fatal("a frame has no end marker", err)
			}
			channel := binary.BigEndian.Uint16(frame[1:])
			if channel > 0 && binary.BigEndian.Uint64(frame[frameHead+4:]) != uint64(counts[channel]) {
				t.Fatalf("channel %d: out of order", channel)
			}
			counts[channel]++
		}
		all.Wait()
		if diff := cmp.Diff(map[uint16]int{0: each, 1: each, 2: each, 3: each, 4: each}, counts); diff != "" {
			t.Error(diff)
		}
		_ = w.Close()
	}
}

// TestNoRoom checks that put waits until its deadline while the broker does not read, and
// that it fails when the connection is closed.
func TestNoRoom(t *testing.T) {
	ours, broker := net.Pipe()
	defer broker.Close()
	w := newSocket(ours)
	w.out.left = 0
	running := make(chan struct{})
	go func() {
		w.out.run()
		close(running)
	}()
	big := func(dst []byte) []byte { return append(dst, make([]byte, maxPending)...) }
	soon := func() time.Time { return time.Now().Add(50 * time.Millisecond) }
	var err error
	for range 3 { // one is being written, and one is pending
		if err = w.out.put(t.Context(), soon(), big); err != nil {
			break
		}
	}
	if !errors.Is(err, errNoRoom) {
		t.Fatalf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.out.put(ctx, time.Now().Add(time.Minute), big); !errors.Is(err, errNoRoom) {
		t.Errorf("a canceled caller: %v", err)
	}
	late := make(chan error)
	go func() { late <- w.out.put(t.Context(), time.Now().Add(time.Minute), big) }()
	go func() {
		_, err := w.Write([]byte(heartbeat))
		late <- err
	}()
	_ = w.Close()
	for range 2 {
		if err := <-late; !errors.Is(err, net.ErrClosed) {
			t.Errorf("when it is closed: %v", err)
		}
	}
	<-running
}

// TestCork checks that frames added while corked are sent in one write.
func TestCork(t *testing.T) {
	ours, broker := net.Pipe()
	w := newSocket(ours)
	w.out.inline, w.out.left = true, 0
	go w.out.run()
	w.out.cork()
	for i := range 10 {
		if err := w.out.put(t.Context(), time.Now().Add(time.Minute), func(dst []byte) []byte { return appendAck(dst, 1, uint64(i), false) }); err != nil {
			t.Fatal(err)
		}
	}
	go w.out.uncork()
	buf := make([]byte, 1<<10)
	if n, err := broker.Read(buf); n != 10*len(appendAck(nil, 1, 1, false)) || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	_ = w.Close()
}

// FuzzWire reads arbitrary streams. They may only cause an error, and the driver must not
// receive more data than was sent.
func FuzzWire(f *testing.F) {
	f.Add(append(deliverFrames(2, 1, "k", "body", 64), heartbeat...), 3)
	f.Add([]byte("AMQP\x00\x00\x09\x01"), 1)
	f.Fuzz(func(t *testing.T, stream []byte, size int) {
		w := newSocket(nil)
		w.opened.Store(2)
		total := 0
		w.attach(&plane{deliver: func(in *incoming) { total += len(in.body) }, returned: func(*incoming) {}, confirmed: func(uint64, bool, bool) {}})
		for rest := stream; len(rest) > 0; {
			n := min(max(size, 1)%64+1, len(rest))
			if w.end+n > len(w.in) {
				w.in = append(w.in, make([]byte, n)...)
			}
			w.end += copy(w.in[w.end:], rest[:n])
			rest = rest[n:]
			if w.pass() != nil {
				break
			}
		}
		if total+len(w.driver.data) > len(stream) {
			t.Fatalf("%d bytes became %d and %d", len(stream), total, len(w.driver.data))
		}
	})
}
