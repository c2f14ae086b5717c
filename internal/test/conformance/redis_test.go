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
			// A lone surrogate becomes U+FFFD in a channel, in Node.js, too. NestJS finds no handler for it, either.
			Ambiguous: func(p micro.Pattern) bool { return !utf8.ValidString(p.Route()) },
		},
	})
}

// redisLink is a broker. All links share its channels.
type redisLink struct{ url string }

func (l redisLink) Listen() conformance.Listener { return microredis.Listen(l.url) }

func (l redisLink) Client(opts ...micro.ClientOption) *micro.Client {
	return micro.NewClient(microredis.Dial(l.url), opts...)
}
