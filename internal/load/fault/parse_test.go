package fault

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	tests := []struct {
		text string
		want Fault
	}{
		{"latency=200ms", Fault{Kind: Latency, Share: 1, Delay: 200 * time.Millisecond}},
		{"latency=200ms±50ms@10s+5s", Fault{Kind: Latency, Share: 1, Delay: 200 * time.Millisecond, Spread: 50 * time.Millisecond, Start: 10 * time.Second, Length: 5 * time.Second}},
		{"latency=200ms+-50ms@1m", Fault{Kind: Latency, Share: 1, Delay: 200 * time.Millisecond, Spread: 50 * time.Millisecond, Start: time.Minute}},
		{"latency=1s share=20% first=3", Fault{Kind: Latency, Share: 0.2, Delay: time.Second, First: 3}},
		{"error=20%", Fault{Kind: Error, Share: 0.2, Status: 503, Message: "injected by msctl"}},
		{"error", Fault{Kind: Error, Share: 1, Status: 503, Message: "injected by msctl"}},
		{`error=20% status=429 message="too busy"`, Fault{Kind: Error, Share: 0.2, Status: 429, Message: "too busy"}},
		{`error message=busy  status=429 `, Fault{Kind: Error, Share: 1, Status: 429, Message: "busy"}},
		{`error message="é \"q\" 😀"`, Fault{Kind: Error, Share: 1, Status: 503, Message: `é "q" 😀`}},
		{"drop=10%", Fault{Kind: Drop, Share: 0.1}},
		{"drop-reply=5%", Fault{Kind: DropReply, Share: 0.05}},
		{"duplicate=0.5%", Fault{Kind: Duplicate, Share: 0.005}},
		{"reorder=7%", Fault{Kind: Reorder, Share: 0.07}},
		{"reset=1%", Fault{Kind: Reset, Share: 0.01}},
		{"cut=100%", Fault{Kind: Cut, Share: 1}},
		{"blackhole@10s+4s", Fault{Kind: Blackhole, Share: 1, Start: 10 * time.Second, Length: 4 * time.Second}},
		{"blackhole@0s+4s", Fault{Kind: Blackhole, Share: 1, Length: 4 * time.Second}},
		{"bandwidth=64KB/s", Fault{Kind: Bandwidth, Share: 1, BytesPerSecond: 64000}},
		{"bandwidth=1.5MB/s@2s", Fault{Kind: Bandwidth, Share: 1, BytesPerSecond: 1500000, Start: 2 * time.Second}},
		{"bandwidth=17B/s", Fault{Kind: Bandwidth, Share: 1, BytesPerSecond: 17}},
		{"stall@10s+4s", Fault{Kind: Stall, Share: 1, Start: 10 * time.Second, Length: 4 * time.Second}},
		{"pause@10s+4s", Fault{Kind: Pause, Share: 1, Start: 10 * time.Second, Length: 4 * time.Second}},
		{"drop pattern=cmd=createItem", Fault{Kind: Drop, Share: 1, Pattern: `{"cmd":"createItem"}`}},
		{`drop=50% first=3 pattern={ "v": 2, "cmd" : "create item" }`, Fault{Kind: Drop, Share: 0.5, First: 3, Pattern: `{"cmd":"create item","v":2}`}},
		{`drop pattern="a b"`, Fault{Kind: Drop, Share: 1, Pattern: "a b"}},
		{`drop pattern="a=b"`, Fault{Kind: Drop, Share: 1, Pattern: "a=b"}},
		{"drop pattern=item.v1.viewed", Fault{Kind: Drop, Share: 1, Pattern: "item.v1.viewed"}},
	}
	for _, test := range tests {
		got, err := Parse(test.text)
		if err != nil {
			t.Errorf("%s: %v", test.text, err)
			continue
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.text, diff)
		}
		if again, err := Parse(got.String()); err != nil || again != got {
			t.Errorf("%s became %s, which is %+v, %v", test.text, got, again, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	tests := []struct {
		text    string
		offset  int
		message string
	}{
		{"", 0, "a fault must start with its kind: bandwidth, blackhole, cut, drop, drop-reply, duplicate, error, latency, pause, reorder, reset, stall"},
		{"latencie=1s", 0, `unknown fault "latencie": did you mean latency?`},
		{"  xyzzy", 2, `unknown fault "xyzzy": use one of bandwidth, blackhole, cut, drop, drop-reply, duplicate, error, latency, pause, reorder, reset, stall`},
		{"latency", 7, "latency requires a delay: latency=200ms or latency=200ms±50ms"},
		{"latency=", 8, `the delay must be a duration such as 200ms or 10s, not ""`},
		{"latency=20%", 8, `the delay must be a duration such as 200ms or 10s, not "20%"`},
		{"latency=0s", 8, "the delay must be greater than 0"},
		{"latency=-1s", 8, `the delay must be a duration such as 200ms or 10s, not "-1s"`},
		{"latency=20000h", 8, "the delay must be at most 10000h"},
		{"latency=1s±2s", 12, "the spread must not exceed the delay: use at most 1s"},
		{"latency=1s+-x", 12, `the spread of a delay must be a duration such as 200ms or 10s, not "x"`},
		{"error=20", 6, `a share must be a percentage such as 20% or 0.5%, not "20"`},
		{"error=0%", 6, "a share must be greater than 0% and at most 100%, not 0%"},
		{"error=101%", 6, "a share must be greater than 0% and at most 100%, not 101%"},
		{"error=1e1%", 6, `a share must be a percentage such as 20% or 0.5%, not "1e1%"`},
		{"error=20% share=10%", 10, "the share must follow the kind: error=20%"},
		{"error status=42", 13, `a status must be a number between 100 and 599, such as 429, not "42"`},
		{`error message="too busy`, 14, `the message has no closing quote (") or an invalid escape sequence`},
		{`error message=""`, 14, `the message is empty: remove message=… for the default, "injected by msctl"`},
		{`error message="a"b`, 17, "a space must follow the message"},
		{"drop status=400", 5, "status cannot be combined with drop, only with error"},
		{"drop first=0", 11, `first must be a number of messages between 1 and 1000000000, not "0"`},
		{"drop first=1 first=2", 13, "duplicate first"},
		{"drop first", 10, "first requires a value: first=…"},
		{"drop frist=1", 5, `unknown option "frist": did you mean first=…?`},
		{"drop , 3", 5, `unknown option ",": the options are share=…, status=…, message=…, first=…, pattern=…`},
		{"drop pattern=", 13, `the pattern is empty: use cmd=createItem, {"cmd":"createItem"}, or item.v1.viewed`},
		{`drop pattern={"cmd":}`, 20, "the pattern is not JSON: unexpected '}', expected a JSON value"},
		{"drop pattern=a first=3", 14, `a pattern that is not JSON cannot contain spaces, quotes, or braces, and must be last: write {"cmd":"x"} or "a b"`},
		{"blackhole=20%", 9, "blackhole takes no value, only a time: blackhole@10s+4s"},
		{"bandwidth", 9, "bandwidth requires a rate: bandwidth=64KB/s"},
		{"bandwidth=64", 10, `a bandwidth must be in bytes per second, such as 64KB/s or 1.5MB/s, not "64"`},
		{"bandwidth=0B/s", 10, "a bandwidth must be between 1B/s and 1000GB/s"},
		{"bandwidth=1KB/s pattern=a", 16, "pattern cannot be combined with bandwidth, only with latency, error, drop, drop-reply, duplicate, reorder, reset, cut, blackhole, stall"},
		{"stall", 5, "stall requires a length: stall@10s+4s starts after 10s and lasts 4s"},
		{"stall@10s", 9, "stall requires a length: stall@10s+4s starts after 10s and lasts 4s"},
		{"stall@10s+", 10, `the length of a fault must be a duration such as 200ms or 10s, not ""`},
		{"drop@later", 5, `the start of a fault must be a duration such as 200ms or 10s, not "later"`},
		{"drop\xff", 0, "a fault must be valid UTF-8"},
	}
	for _, test := range tests {
		_, err := Parse(test.text)
		var problem *SyntaxError
		if !errors.As(err, &problem) {
			t.Errorf("%q: %v", test.text, err)
			continue
		}
		if diff := cmp.Diff(SyntaxError{test.offset, test.message}, *problem); diff != "" {
			t.Errorf("%q (-want +got):\n%s", test.text, diff)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"latency=200ms±50ms@10s+5s share=20%", "latency=1h2m3s+-1ns", "drop@1h+1m", "drop@10m0s+1h0m1s", `error=33.3% status=429 message="too \x41 busy" first=9`,
		"bandwidth=64KB/s", "stall@10s+4s", `drop pattern={"cmd":"a\nb","é":1e3}`, `drop pattern="\ud83d"`, "drop pattern=cmd=x", "reorder=0.0000001%", "drop pattern=\"{\"",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		one, err := Parse(text)
		if err != nil {
			var problem *SyntaxError
			if !errors.As(err, &problem) || problem.Offset < 0 || problem.Offset > len(text) || problem.Message == "" {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		again, err := Parse(one.String())
		if err != nil || again != one {
			t.Fatalf("%q became %q: %+v is not %+v, %v", text, one, again, one, err)
		}
	})
}
