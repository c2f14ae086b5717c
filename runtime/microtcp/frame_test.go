package microtcp

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// nodeText decodes bytes as Node's StringDecoder does, the plain way: one U+FFFD
// for each maximal subpart. rest is an unfinished sequence at the end.
func nodeText(b []byte) (text []rune, rest []byte) {
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			if !utf8.FullRune(b) {
				return text, b
			}
			// The longest start of a well-formed sequence counts once.
			for n = 1; n < len(b) && n < 4 && !utf8.FullRune(b[:n+1]); n++ {
			}
			if utf8.FullRune(b[:1]) {
				n = 1
			}
		}
		text, b = append(text, r), b[n:]
	}
	return text, nil
}

// oracleLen is the length of b in UTF-16 code units, by runes.
func oracleLen(b []byte) int {
	text, rest := nodeText(b)
	n := len(utf16.Encode(text))
	if len(rest) > 0 {
		n++
	}
	return n
}

var texts = []string{
	"", "a", "plain ASCII of more than eight bytes", "é", "añb", "日本語テキスト", "😀", "a😀b", "😀😀😀😀",
	"\u2028\u2029", "\x00\x7f", "\uFEFFx", "ÿ\U0010FFFF",
	"\xff", "\xff\xfe", "\xed\xa0\xbd", "\xf0\x9f\x98", "\xf0\x9f\x98a", "a\xc3", "\xc0\xaf", "\xe2\x82", "\xe2\x82\xff\x82",
	"\xf4\x90\x80\x80", "\xf5\x80", "\x80\x80\x80", "é\xffé\xf0\x9f", "\xc3\xa9\xc3", "12345678\xff", "\xf0\x9f\xf0\x9f\x98\x80",
}

func TestUTF16Len(t *testing.T) {
	for _, pre := range texts {
		for _, post := range texts {
			s := []byte(pre + "0123456789" + post)
			if got, want := utf16Len(s), oracleLen(s); got != want {
				t.Errorf("utf16Len(%q) = %d, want %d", s, got, want)
			}
			s = []byte(pre + post)
			if got, want := utf16Len(s), oracleLen(s); got != want {
				t.Errorf("utf16Len(%q) = %d, want %d", s, got, want)
			}
		}
	}
}

func TestParseInt(t *testing.T) {
	for text, want := range map[string]int{
		"12": 12, "0": 0, "-0": 0, "0x10": 0, "-5": -5, "12abc": 12, " 12": 12, "00012": 12, "+12": 12, "12 ": 12, "12.9": 12,
		"\t\n\v\f\r 12": 12, "\uFEFF12": 12, "\u00A0\u1680\u2000\u200A\u2028\u2029\u202F\u205F\u300012": 12, "1e3": 1, "1_0": 1, "12#": 12,
		"9999999999999999999999999": math.MaxInt, "-9999999999999999999999999": -math.MaxInt,
	} {
		if got, ok := parseInt([]byte(text)); got != want || !ok {
			t.Errorf("parseInt(%q) = %d, %v, want %d", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "abc", "#", "Infinity", "NaN", "٥", "-", "+", "+-1", "- 1", " ", "\u200B1", "\x851", "\xff1", ".5", "e3"} {
		if got, ok := parseInt([]byte(text)); ok {
			t.Errorf("parseInt(%q) = %d, want no number", text, got)
		}
	}
}

// decode feeds stream to a decoder in pieces and returns its frames, and whether
// it ended with an error.
func decode(t testing.TB, limit int, pieces ...[]byte) (frames []string, failed bool) {
	t.Helper()
	d := decoder{limit: limit}
	for _, piece := range pieces {
		for len(piece) > 0 {
			n := copy(d.space(), piece)
			d.filled(n)
			piece = piece[n:]
			for {
				body, ok, err := d.next()
				if err != nil {
					if !errors.Is(err, errFraming) {
						t.Errorf("the error is %v", err)
					}
					return frames, true
				}
				if !ok {
					break
				}
				if !utf8.Valid(body) {
					t.Errorf("the body %q is not UTF-8", body)
				}
				frames = append(frames, string(body))
			}
		}
	}
	return frames, false
}

func TestEverySplit(t *testing.T) {
	var stream []byte
	var want []string
	for _, text := range texts {
		stream = AppendFrame(stream, []byte(text))
		whole, _ := nodeText([]byte(text))
		_, rest := nodeText([]byte(text))
		frame := string(whole)
		if len(rest) > 0 {
			frame += "\uFFFD"
		}
		want = append(want, frame)
	}
	for name, end := range map[string]struct {
		bytes  string
		failed bool
	}{
		"whole": {"", false}, "part of a header": {"12", false}, "part of a body": {"12#{\"a\":", false}, "no length": {"abc#", true},
		"no room for a pair": {"1#😀", true},
	} {
		t.Run(name, func(t *testing.T) {
			s := append(bytes.Clone(stream), end.bytes...)
			for i := range s {
				got, failed := decode(t, math.MaxInt, s[:i], s[i:])
				if diff := cmp.Diff(want, got); diff != "" || failed != end.failed {
					t.Fatalf("split at %d: failed %v, (-want +got):\n%s", i, failed, diff)
				}
			}
			var single [][]byte
			for i := range s {
				single = append(single, s[i:i+1])
			}
			got, failed := decode(t, math.MaxInt, single...)
			if diff := cmp.Diff(want, got); diff != "" || failed != end.failed {
				t.Fatalf("byte by byte: failed %v, (-want +got):\n%s", failed, diff)
			}
		})
	}
}

func TestMaxBufferSize(t *testing.T) {
	for _, c := range []struct {
		stream string
		limit  int
		frames int
		failed bool
	}{
		{"3#abc", 5, 1, false},
		{"3#abc", 4, 0, true},
		{"3#日本語", 5, 1, false}, // units, not bytes
		{"3#日本語", 4, 0, true},
		{"4#😀😀", 6, 1, false},
		{"4#😀😀", 5, 0, true},
		{"4#😀\xf0\x9f", 4, 0, false}, // an unfinished character does not count
		{"3#abc3#abc", 10, 2, false},
		{"3#abc3#abc", 9, 0, true}, // the whole unread buffer counts
		{"999", 3, 0, false},
		{"9999", 3, 0, true},
		{"9999999#", 8, 0, false},
	} {
		got, failed := decode(t, c.limit, []byte(c.stream))
		if len(got) != c.frames || failed != c.failed {
			t.Errorf("%q with limit %d: %q, failed %v", c.stream, c.limit, got, failed)
		}
	}
}

// TestLimitOverManyFrames: the count follows what waits when frames are taken.
func TestLimitOverManyFrames(t *testing.T) {
	d := decoder{limit: 100}
	frame := AppendFrame(nil, []byte(strings.Repeat("日", 20))) // 23 units, 63 bytes
	for round := range 50 {
		for range 4 { // 92 units
			d.filled(copy(d.space(), frame))
		}
		for range 4 {
			if _, ok, err := d.next(); !ok || err != nil {
				t.Fatalf("round %d: %v, %v", round, ok, err)
			}
		}
	}
	for range 5 {
		d.filled(copy(d.space(), frame))
	}
	if _, _, err := d.next(); err == nil {
		t.Error("115 units waited, 100 may")
	}
}

// TestTimeIsLinear feeds streams in small reads. A decoder that examined every byte
// again for each read would take 16 times as long for one stream as for 16 streams of the
// same total size. The ratio does not depend on the speed of the machine; a pause in one
// of the measurements can distort it, so any of several attempts may pass.
func TestTimeIsLinear(t *testing.T) {
	const size, parts = 1 << 20, 16
	for name, c := range map[string]struct {
		stream func(size int) []byte
		limit  int
	}{
		"one body":                 {func(n int) []byte { return AppendFrame(nil, []byte(strings.Repeat("日", n/3))) }, math.MaxInt},
		"above the limit in bytes": {func(n int) []byte { return AppendFrame(nil, []byte(strings.Repeat("日", n/3))) }, size/3 + 100},
		"no header":                {func(n int) []byte { return bytes.Repeat([]byte("9"), n) }, math.MaxInt},
		"small frames":             {func(n int) []byte { return bytes.Repeat(AppendFrame(nil, []byte("日本")), n/8) }, math.MaxInt},
	} {
		t.Run(name, func(t *testing.T) {
			whole, part := c.stream(size), c.stream(size/parts)
			ratio := math.Inf(1)
			for attempt := 0; attempt < 5 && ratio > parts/2; attempt++ {
				many := time.Now()
				for range parts {
					feed(t, part, c.limit)
				}
				one := time.Now()
				feed(t, whole, c.limit)
				ratio = float64(time.Since(one)) / float64(one.Sub(many))
			}
			if ratio > parts/2 {
				t.Errorf("one stream takes %.1f times as long as %d parts of it", ratio, parts)
			}
		})
	}
}

// feed decodes a stream in reads of 512 bytes.
func feed(t *testing.T, stream []byte, limit int) {
	t.Helper()
	d := decoder{limit: limit}
	for len(stream) > 0 {
		n := copy(d.space(), stream[:min(len(stream), 512)])
		d.filled(n)
		stream = stream[n:]
		for ok := true; ok; {
			var err error
			if _, ok, err = d.next(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestDecoderKeepsItsBufferSmall(t *testing.T) {
	d := decoder{limit: math.MaxInt}
	big := AppendFrame(nil, bytes.Repeat([]byte("x"), 1<<20))
	for s := big; len(s) > 0; {
		n := copy(d.space(), s)
		d.filled(n)
		s = s[n:]
	}
	if _, ok, err := d.next(); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if d.space(); cap(d.buf) > maxIdleBuffer {
		t.Errorf("an idle decoder keeps %d bytes", cap(d.buf))
	}
}

func ExampleAppendFrame() {
	fmt.Printf("%s\n", AppendFrame(nil, []byte(`{"a":"😀"}`)))
	// Output: 10#{"a":"😀"}
}

// FuzzFrame: the decoder never panics, where reads end makes no difference, and
// what AppendFrame writes comes out again.
func FuzzFrame(f *testing.F) {
	for _, text := range texts {
		f.Add(AppendFrame(nil, []byte(text)), 3, 100)
	}
	f.Add([]byte("12abc#0123456789ab 3#abc-5#"), 4, 20)
	f.Add([]byte("3#日本語3#日本語"), 1, 10)
	f.Add([]byte("999999999999999999999#x"), 1, 10)
	f.Fuzz(func(t *testing.T, stream []byte, split, limit int) {
		limit = max(limit&0xffff, 1)
		if framed := AppendFrame(nil, stream); oracleLen(stream) != utf16Len(stream) {
			t.Errorf("%q is %d units, not %d", stream, oracleLen(stream), utf16Len(stream))
		} else if utf8.Valid(stream) {
			got, failed := decode(t, math.MaxInt, framed)
			if failed || len(got) != 1 || got[0] != string(stream) {
				t.Errorf("%q comes back as %q, %v", stream, got, failed)
			}
		}
		// Without a limit all splits are alike; with one, what waits depends on them.
		whole, failed := decode(t, math.MaxInt, stream)
		at := 0
		if len(stream) > 0 {
			at = (split & math.MaxInt) % len(stream)
		}
		parts, failedToo := decode(t, math.MaxInt, stream[:at], stream[at:])
		if diff := cmp.Diff(whole, parts); diff != "" || failed != failedToo {
			t.Errorf("split at %d: %v, %v\n%s", at, failed, failedToo, diff)
		}
		limited, _ := decode(t, limit, stream[:at], stream[at:])
		if len(limited) > len(whole) || !cmp.Equal(limited, whole[:len(limited):len(limited)]) && len(limited) > 0 {
			t.Errorf("with a limit there are other frames: %q, %q", limited, whole)
		}
	})
}
