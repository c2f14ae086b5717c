package microrabbit

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestPublishFrames checks the frames of a request byte by byte.
func TestPublishFrames(t *testing.T) {
	p := &publishing{
		key: "items", mandatory: true, body: []byte(`{"pattern":"a"}`),
		properties: properties{headers: map[string]any{}, deliveryMode: transient, correlationID: "7f", replyTo: "amq.rabbitmq.reply-to"},
	}
	want := strings.Join([]string{
		"01 0003 0000000e", "003c 0028 0000", "00", "05" + hex.EncodeToString([]byte("items")), "01", "ce",
		"02 0003 0000002c", "003c 0000 000000000000000f", "3600", "00000000", "01", "02" + hex.EncodeToString([]byte("7f")),
		"15" + hex.EncodeToString([]byte("amq.rabbitmq.reply-to")), "ce",
		"03 0003 0000000f", hex.EncodeToString(p.body), "ce",
	}, "")
	want = strings.ReplaceAll(want, " ", "")
	if diff := cmp.Diff(want, hex.EncodeToString(appendPublish(nil, 3, p, frameLimit))); diff != "" {
		t.Error(diff)
	}
}

func TestAckFrames(t *testing.T) {
	tests := []struct {
		want string
		got  []byte
	}{
		{"0100010000000d003c0050000000000000000700ce", appendAck(nil, 1, 7, false)},
		{"0100010000000d003c0050000000000000000701ce", appendAck(nil, 1, 7, true)},
		{"0100010000000d003c0078000000000000000700ce", appendNack(nil, 1, 7, false)},
		{"0100010000000d003c0078000000000000000702ce", appendNack(nil, 1, 7, true)},
	}
	for _, tt := range tests {
		if got := hex.EncodeToString(tt.got); got != tt.want {
			t.Errorf("%s, want %s", got, tt.want)
		}
	}
}

// full is a message with every property.
func full() *publishing {
	return &publishing{
		exchange: "e", key: "k", body: bytes.Repeat([]byte("x"), 1000),
		properties: properties{
			headers: map[string]any{"a": "b"}, deliveryMode: persistent, priority: 9,
			contentType: "application/json", contentEncoding: "utf-8", correlationID: "c", replyTo: "r",
			expiration: "10", messageID: "m", timestamp: time.Unix(1234, 0), kind: "t", userID: "u", appID: "p",
		},
	}
}

// TestHeaderRoundTrip checks that a content header can be read back with each property
// alone and with all together, and that the body is split into frames that fit.
func TestHeaderRoundTrip(t *testing.T) {
	for _, frameMax := range []int{64, 1008, frameLimit} {
		got, sizes := readBack(t, appendPublish(nil, 5, full(), frameMax))
		want := full()
		if diff := cmp.Diff(want.body, got.body); diff != "" {
			t.Errorf("body in frames of %d: %s", frameMax, diff)
		}
		for _, size := range sizes {
			if size > frameMax-frameRoom {
				t.Errorf("a frame of %d bytes, at most %d are allowed", size+frameRoom, frameMax)
			}
		}
		texts := func(p properties) []string {
			return []string{p.contentType, p.contentEncoding, p.correlationID, p.replyTo, p.expiration, p.messageID, p.kind, p.userID, p.appID}
		}
		read := []string{}
		for _, b := range [][]byte{got.contentType, got.contentEncoding, got.correlationID, got.replyTo, got.expiration, got.messageID, got.kind, got.userID, got.appID} {
			read = append(read, string(b))
		}
		if diff := cmp.Diff(texts(want.properties), read); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(want.headers, parseTable(got.table)); diff != "" {
			t.Error(diff)
		}
		if got.deliveryMode != persistent || got.priority != 9 || !got.timestamp.Equal(want.timestamp) {
			t.Errorf("%+v", got)
		}
	}
}

// readBack reads the frames of one published message.
func readBack(t *testing.T, b []byte) (in incoming, bodies []int) {
	t.Helper()
	var size uint64
	for len(b) > 0 {
		n := int(binary.BigEndian.Uint32(b[3:]))
		payload := b[frameHead : frameHead+n]
		if b[frameHead+n] != frameEnd {
			t.Fatal("a frame has no end marker")
		}
		switch b[0] {
		case frameHeader:
			var err error
			if size, err = in.parseHeader(payload); err != nil {
				t.Fatal(err)
			}
		case frameBody:
			in.body = append(in.body, payload...)
			bodies = append(bodies, n)
		}
		b = b[frameHead+n+1:]
	}
	if uint64(len(in.body)) != size {
		t.Fatalf("%d bytes of %d", len(in.body), size)
	}
	return in, bodies
}

func TestTableComesBack(t *testing.T) {
	sent := map[string]any{
		"nil": nil, "yes": true, "no": false, "text": "é😀", "bytes": []byte{0, 255},
		"int8": int8(-1), "int16": int16(-300), "int32": int32(-70000), "int64": int64(math.MinInt64), "int": 42,
		"uint8": uint8(200), "uint16": uint16(60000), "uint32": uint32(4000000000),
		"float32": float32(1.5), "float64": -2.25, "time": time.Unix(99, 0).UTC(),
		"table": map[string]any{"a": map[string]any{}}, "list": []any{"x", int64(1), []any{}}, "strings": []string{"p", "q"},
	}
	if err := checkTable(sent, 0); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"nil": nil, "yes": true, "no": false, "text": "é😀", "bytes": []byte{0, 255},
		"int8": int8(-1), "int16": int16(-300), "int32": int32(-70000), "int64": int64(math.MinInt64), "int": int64(42),
		"uint8": int16(200), "uint16": int32(60000), "uint32": int64(4000000000),
		"float32": float32(1.5), "float64": -2.25, "time": time.Unix(99, 0).UTC(),
		"table": map[string]any{"a": map[string]any{}}, "list": []any{"x", int64(1), []any{}}, "strings": []any{"p", "q"},
	}
	if diff := cmp.Diff(want, parseTable(appendTable(nil, sent)[4:])); diff != "" {
		t.Error(diff)
	}
}

func TestCheckTable(t *testing.T) {
	deep := map[string]any{}
	for range maxDepth + 2 {
		deep = map[string]any{"a": deep}
	}
	tests := []struct {
		name  string
		table map[string]any
		want  string
	}{
		{"a name too long", map[string]any{strings.Repeat("n", 256): 1}, "the name of a header is 256 bytes long"},
		{"a struct", map[string]any{"x": struct{}{}}, "header x: AMQP has no type for a struct {}"},
		{"inside a list", map[string]any{"x": []any{1, uint64(2)}}, "AMQP has no type for a uint64"},
		{"inside a table", map[string]any{"x": map[string]any{"y": 1i}}, "header x: header y: AMQP has no type for a complex128"},
		{"too deep", deep, "levels deep"},
		{"fine", map[string]any{strings.Repeat("n", 255): "v"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := checkTable(tt.table, 0)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// TestBadTables checks that the readable part of a bad table is returned.
func TestBadTables(t *testing.T) {
	good := appendShort(nil, "a")
	good = appendField(good, "b")
	for name, rest := range map[string]string{
		"an unknown type": "\x01x?", "a string that is too long": "\x01xS\xff\xff\xff\xff", "a name without a value": "\x01x",
		"a name that is too long": "\x09x", "a list that is too long": "\x01xA\x00\x00\x00\x09", "a bad list": "\x01xA\x00\x00\x00\x01?",
	} {
		got := parseTable(append(bytes.Clone(good), rest...))
		if diff := cmp.Diff(map[string]any{"a": "b"}, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if got := parseTable([]byte("\x01dD\x02\x00\x00\x01\x41\x01BB\x07\x01uu\x00\x09\x01ii\x00\x00\x00\x09\x01LL\x00\x00\x00\x00\x00\x00\x00\x09")); got["d"] != 3.21 || got["B"] != uint8(7) || got["L"] != int64(9) {
		t.Errorf("types that we do not send: %v", got)
	}
}

func FuzzTable(f *testing.F) {
	f.Add(appendTable(nil, map[string]any{"a": []any{"b", int32(1), map[string]any{"c": nil}}})[4:])
	f.Add([]byte("\x01x?"))
	f.Fuzz(func(t *testing.T, b []byte) {
		table := parseTable(b)
		if err := checkTable(table, 0); err != nil && !strings.Contains(err.Error(), "uint64") {
			t.Fatalf("%v: %v", table, err)
		}
		again := parseTable(appendTable(nil, table)[4:])
		if len(again) != len(table) {
			t.Fatalf("%v became %v", table, again)
		}
		metadata(table)
		attempt(table)
	})
}

func FuzzHeader(f *testing.F) {
	frames := appendPublish(nil, 1, full(), frameLimit)
	start := bytes.IndexByte(frames, frameEnd) + 1 + frameHead
	f.Add(frames[start:])
	f.Add([]byte{0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		var in incoming
		_, err := in.parseHeader(b)
		if len(b) >= 14 && err != nil {
			t.Fatalf("a header of %d bytes: %v", len(b), err)
		}
		_ = in.parseDeliver(b)
		_ = in.parseReturn(b)
		_, _, _ = parseConfirm(b)
	})
}
