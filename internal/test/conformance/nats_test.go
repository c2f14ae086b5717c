package conformance_test

import (
	"strings"
	"testing"

	"github.com/msctl/msctl/internal/test/conformance"
	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/micronats"
)

// TestNATS runs the suite without a queue group, where every server handles every message, and with one.
func TestNATS(t *testing.T) {
	broker := testenv.NATS(t)
	for name, queue := range map[string]string{"no queue group": "", "queue group": "conformance"} {
		t.Run(name, func(t *testing.T) { conformance.Run(t, overNATS(broker, queue)) })
	}
}

func overNATS(broker *testenv.Broker, queue string) conformance.Transport {
	facts := conformance.Facts{
		Unknown: micro.ErrNotServed, Unserved: micro.ErrNotServed, UnservedAtOnce: true, Replicas: conformance.Repeated,
		MaxPacket: 1 << 20, // max_payload of the broker
		Refuses:   notASubject,
		Ambiguous: subjectWildcard,
	}
	if queue != "" {
		facts.Replicas = conformance.Shared
	}
	return conformance.Transport{
		Open:  func(testing.TB) conformance.Link { return natsLink{broker.URL, queue} },
		Facts: facts,
	}
}

// natsLink is a broker. All links share its subjects.
type natsLink struct{ url, queue string }

func (l natsLink) Listen() conformance.Listener {
	return micronats.Listen(l.url, micronats.WithQueue(l.queue))
}

func (l natsLink) Client(opts ...micro.ClientOption) *micro.Client {
	return micro.NewClient(micronats.Dial(l.url), opts...)
}

// notASubject returns why NATS cannot carry a pattern, or "" if it can.
func notASubject(p micro.Pattern) string {
	route := p.Route()
	if route == "" || strings.ContainsAny(route, " \t\r\n\x00") {
		return "a subject must not contain white space"
	}
	for token := range strings.SplitSeq(route, ".") {
		if token == "" {
			return "a subject must not contain an empty token"
		}
	}
	return ""
}

func subjectWildcard(p micro.Pattern) bool {
	for token := range strings.SplitSeq(p.Route(), ".") {
		if token == "*" || token == ">" {
			return true
		}
	}
	return false
}
