package observe

import (
	"context"
	"encoding/json"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/msctl/msctl/internal/tap"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/runtime/micro"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// soon bounds what must happen soon; it is long because much else may run here.
const soon = time.Minute

// secrets are what must not be in any record.
var secrets = []string{"hunter2-seen", "s3cr3t-seen", "bearer-of-secrets"}

// The patterns of the service that is observed.
var (
	echo   = micro.Cmd("echo")
	fail   = micro.Cmd("fail")
	watch  = micro.Cmd("watch")
	silent = micro.Cmd("silent")
	noted  = micro.Name("item.noted")
)

// input is the data of the messages.
type input struct {
	Name     string `json:"name"`
	Password string `json:"password"`
}

type output struct {
	Name  string `json:"name"`
	Token string `json:"token"`
}

// service returns a service with one handler for each way in which a message can end.
// The handler of silent returns when the test ends.
func service(released <-chan struct{}) *micro.Server {
	s := micro.NewServer(micro.WithLogger(slog.New(slog.DiscardHandler)))
	micro.Handle(s, echo, func(_ context.Context, in input) (output, error) {
		return output{Name: in.Name, Token: "s3cr3t-seen"}, nil
	})
	micro.Handle(s, fail, func(context.Context, input) (output, error) { return output{}, micro.Errorf(409, "sold out") })
	micro.Handle(s, silent, func(context.Context, input) (output, error) {
		<-released
		return output{}, nil
	})
	micro.HandleStream(s, watch, func(context.Context, input) iter.Seq2[output, error] {
		return func(yield func(output, error) bool) {
			for _, name := range []string{"a", "b", "c"} {
				if !yield(output{name, "s3cr3t-seen"}, nil) {
					return
				}
			}
		}
	})
	micro.HandleEvent(s, noted, func(context.Context, input) error { return nil })
	return s
}

// serve serves the service on a listener until the test ends.
func serve(t *testing.T, l target.Listener) {
	t.Helper()
	released := make(chan struct{})
	s := service(released)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		close(released)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	ready, stop := context.WithTimeout(t.Context(), soon)
	defer stop()
	if err := l.Ready(ready); err != nil {
		t.Fatal(err)
	}
}

// client returns a client whose messages go to a target.
func client(t *testing.T, address string, opts ...micro.ClientOption) *micro.Client {
	t.Helper()
	conn, err := new(target.Flags).Dial(parseTarget(t, address), target.DialOptions{Wait: true})
	if err != nil {
		t.Fatal(err)
	}
	c := micro.NewClient(conn, opts...)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func parseTarget(t *testing.T, text string) target.Target {
	t.Helper()
	found, err := new(target.Flags).ParseBroker(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// view collects what an observer passes on.
type view struct {
	t     *testing.T
	mu    sync.Mutex
	all   []tap.Message
	notes []string
	more  chan struct{} // has a value after a change
}

func newView(t *testing.T) *view {
	t.Helper()
	return &view{t: t, more: make(chan struct{}, 1)}
}

func (v *view) changed() {
	select {
	case v.more <- struct{}{}:
	default:
	}
}

func (v *view) note(text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.notes = append(v.notes, text)
	v.changed()
}

// watch takes the messages of an observer until the test ends, and closes it then.
func (v *view) watch(o interface {
	Messages(context.Context, func(tap.Message) bool) error
	Close()
}) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = o.Messages(context.Background(), func(m tap.Message) bool {
			v.mu.Lock()
			defer v.mu.Unlock()
			v.all = append(v.all, m)
			v.changed()
			return true
		})
	}()
	v.t.Cleanup(func() {
		o.Close()
		<-done
		v.check()
	})
}

// check checks that no record and no note contains a secret.
func (v *view) check() {
	text, err := json.Marshal(v.all)
	if err != nil {
		v.t.Error(err)
	}
	for _, secret := range secrets {
		if strings.Contains(string(text)+strings.Join(v.notes, "\n"), secret) {
			v.t.Errorf("the secret %s is in %s", secret, text)
		}
	}
}

// message waits for a message that is not open.
func (v *view) message(what string, is func(*tap.Message) bool) tap.Message {
	v.t.Helper()
	var found tap.Message
	v.await(what, func() bool {
		i := slices.IndexFunc(v.all, func(m tap.Message) bool { return !m.Open && is(&m) })
		if i >= 0 {
			found = v.all[i]
		}
		return i >= 0
	})
	return found
}

// noted waits for a note.
func (v *view) noted(part string) {
	v.t.Helper()
	v.await("the note "+part, func() bool {
		return slices.ContainsFunc(v.notes, func(n string) bool { return strings.Contains(n, part) })
	})
}

func (v *view) await(what string, done func() bool) {
	v.t.Helper()
	limit := time.NewTimer(soon)
	defer limit.Stop()
	for {
		v.mu.Lock()
		ok := done()
		all, notes := slices.Clone(v.all), slices.Clone(v.notes)
		v.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-v.more:
		case <-limit.C:
			text, _ := json.Marshal(all)
			v.t.Fatalf("%s was not seen: %s %q", what, text, notes)
		}
	}
}

// of matches the messages of a pattern.
func of(p micro.Pattern) func(*tap.Message) bool {
	return func(m *tap.Message) bool { return m.Pattern == p.JSON() }
}
