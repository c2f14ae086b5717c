package conformance_test

import (
	"testing"
	"unicode/utf8"

	"github.com/msctl/msctl/internal/test/conformance"
	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microredis"
)

func TestRedis(t *testing.T) {
	broker := testenv.Redis(t)
	conformance.Run(t, conformance.Transport{
		Open: func(testing.TB) conformance.Link { return redisLink{broker.URL} },
		Facts: conformance.Facts{
			Unknown: micro.ErrNotServed, Unserved: micro.ErrNotServed, UnservedAtOnce: true,
			Replicas: conformance.Repeated,
			// Half a surrogate pair is U+FFFD in a channel, as from Node, and so it is read: NestJS finds no handler either.
			Ambiguous: func(p micro.Pattern) bool { return !utf8.ValidString(p.Route()) },
		},
	})
}

// redisLink is a broker, whose channels are the same for all.
type redisLink struct{ url string }

func (l redisLink) Listen() conformance.Listener { return microredis.Listen(l.url) }

func (l redisLink) Client(opts ...micro.ClientOption) *micro.Client {
	return micro.NewClient(microredis.Dial(l.url), opts...)
}
