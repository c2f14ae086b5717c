package micro

import (
	"testing"
	"time"
)

// TestSentMetadataStaysOnTheStack checks that sending metadata allocates nothing but the text
// of the remaining time, whether as JSON or as headers.
func TestSentMetadataStaysOnTheStack(t *testing.T) {
	req := &Request{Deadline: time.Now().Add(time.Hour), Attempt: 2}
	req.Metadata.Set("tenant", "north")
	req.SetCorrelationID("4711")
	room := make([]byte, 0, 512)
	for name, send := range map[string]func(){
		"as JSON": func() { _ = AppendMetadata(room, req, time.Now()) },
		"as headers": func() {
			for k, v := range SentMetadata(req, time.Now()) {
				room = append(append(room[:0], k...), v...)
			}
		},
	} {
		if got := testing.AllocsPerRun(100, send); got > 1 {
			t.Errorf("%s: %v allocations", name, got)
		}
	}
}
