package microtcp_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/msctl/msctl/internal/test/testenv"
)

const internalError = `{"status":"error","message":"Internal server error"}`

// noID takes the test's id out of a reply, as the records do.
var noID = strings.NewReplacer(`,"id":"x"`, "", `"id":"x",`, "")

// lineDiff is cmp.Diff for lists of texts, in which none and nil are alike.
func lineDiff(want, got []string) string { return cmp.Diff(want, got, cmpopts.EquateEmpty()) }

// notInJSON are the handlers whose JavaScript results cannot be encoded: NestJS then sends nothing, and the caller
// times out. Our server reports the failure at once.
func notInJSON(name string) bool {
	return strings.Contains(name, "returnBigInt") || strings.Contains(name, "returnCircular")
}

// TestRecordedFrames sends our server every frame that a NestJS client sent, and wants the very bytes that the NestJS server
// of that version answered.
func TestRecordedFrames(t *testing.T) {
	for _, version := range testenv.Versions() {
		t.Run(string(version), func(t *testing.T) {
			t.Parallel()
			w := startTwin(t)
			peer := dialRaw(t, w.addr)
			before := 0
			for _, s := range readScenarios(t, version) {
				if strings.Contains(s.name, "eventCount") {
					checkCounts(t, w, s, version)
				}
				for _, request := range s.requests {
					peer.send(t, string(request.Bytes))
				}
				want := wantedReplies(t, s, version)
				frames := peer.await(before + len(want))
				if diff := lineDiff(want, frames[min(before, len(frames)):]); diff != "" {
					t.Fatalf("%s (-nest +msctl):\n%s", s.name, diff)
				}
				before += len(want)
			}
		})
	}
}

// wantedReplies returns the frames recorded for the scenario, or what ours are where they differ.
func wantedReplies(t *testing.T, s *scenario, version testenv.Version) []string {
	t.Helper()
	if len(s.requests) == 0 {
		return nil
	}
	var request struct {
		ID json.RawMessage `json:"id"`
	}
	if err := json.Unmarshal(s.requests[0].Packet, &request); err != nil {
		t.Fatal(err)
	}
	switch {
	case notInJSON(s.name):
		return []string{nodeFrame(`{"err":` + internalError + `,"isDisposed":true,"id":` + string(request.ID) + `}`)}
	case strings.Contains(s.name, `"ctx"`) && version != testenv.Nest12:
		// Only NestJS 12 knows metadata; the twin always reports it.
		_, body, _ := strings.Cut(s.replies[0], "#")
		return []string{nodeFrame(strings.Replace(body, `\"ctx\"}"}`, `\"ctx\"}","metadata":null}`, 1))}
	case strings.Contains(s.name, "eventCount") && version == testenv.Nest10:
		// NestJS 10 does not escape routes, so that event found no handler of ours (docs/wire.md 10).
		_, body, _ := strings.Cut(s.replies[0], "#")
		return []string{nodeFrame(strings.Replace(body, `"z-a-escape":1,`, "", 1))}
	}
	return s.replies
}

// checkCounts waits until the events sent so far have been handled: they are not answered.
func checkCounts(t *testing.T, w *twin, s *scenario, version testenv.Version) {
	t.Helper()
	_, body, _ := strings.Cut(wantedReplies(t, s, version)[0], "#")
	var want struct{ Response map[string]int }
	if err := json.Unmarshal([]byte(body), &want); err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	if !eventually(func() bool {
		got = map[string]int{}
		_ = json.Unmarshal(w.countsJSON(), &got) // ours: it is an object
		return cmp.Equal(want.Response, got)
	}) {
		t.Fatalf("events handled (-nest +msctl):\n%s", cmp.Diff(want.Response, got))
	}
}

// TestRecordedErrors calls every failing handler of NestJS and wants the same reply packets.
func TestRecordedErrors(t *testing.T) {
	for _, version := range testenv.Versions() {
		t.Run(string(version), func(t *testing.T) {
			t.Parallel()
			w := startTwin(t)
			peer := dialRaw(t, w.addr)
			before := 0
			for _, record := range readRecords[errorRecord](t, "errors"+suffix(version)+".jsonl") {
				want := compactAll(record.ReplyPackets)
				if notInJSON(record.Handler) {
					want = []string{`{"err":` + internalError + `,"isDisposed":true}`}
				}
				peer.send(t, nodeFrame(`{"pattern":{"cmd":"`+record.Handler+`"},"data":{},"id":"x"}`))
				frames := peer.await(before + len(want))
				var got []string
				for _, frame := range frames[min(before, len(frames)):] {
					_, body, _ := strings.Cut(frame, "#")
					got = append(got, noID.Replace(body))
				}
				if diff := lineDiff(want, got); diff != "" {
					t.Errorf("%s (-nest +msctl):\n%s", record.Handler, diff)
				}
				before = len(frames)
			}
		})
	}
}
