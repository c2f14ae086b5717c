package gateway_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/msctl/msctl/runtime/gateway"
	"github.com/msctl/msctl/runtime/gateway/memory"
	"github.com/msctl/msctl/runtime/micro"
)

// faulty is a store whose methods fail with these errors.
type faulty struct {
	gateway.Store

	add, end error
	left     int // how often end is still returned; 0 means forever
}

// ending returns the error of the next call that ends a request.
func (s *faulty) ending() error {
	err := s.end
	if s.left > 0 {
		if s.left--; s.left == 0 {
			s.end = nil
		}
	}
	return err
}

func (s *faulty) Add(ctx context.Context, key string, value []byte, ttl time.Duration) ([]byte, bool, error) {
	if s.add != nil {
		return nil, false, s.add
	}
	return s.Store.Add(ctx, key, value, ttl)
}

func (s *faulty) Set(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := s.ending(); err != nil {
		return err
	}
	return s.Store.Set(ctx, key, value, ttl)
}

func (s *faulty) Delete(ctx context.Context, key string) error {
	if err := s.ending(); err != nil {
		return err
	}
	return s.Store.Delete(ctx, key)
}

// TestWebhookStore checks a store that is not available, before and after the event.
func TestWebhookStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, log := &queue{}, &lines{}
		store := &faulty{Store: memory.New(memory.Limits{})}
		h := hooks(t, q, gateway.WithStore(store), gateway.WithLogger(slog.New(slog.NewJSONHandler(log, nil))))
		d := signed(t, "/payments", "msg_1", `{"id":"p_1"}`, time.Now())
		store.add = errors.New("no store")
		if w := d.to(h); w.Code != 503 || w.Header().Get("Retry-After") == "" || strings.Contains(w.Body.String(), "no store") {
			t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
		}
		store.add, store.end = nil, errors.New("no store")
		q.wants(t, h, "the store fails afterwards", d, 200, 1)
		if all := log.all(t); all[len(all)-2]["msg"] != "a repeated request may not be recognized" {
			t.Errorf("log: %v", all)
		}
		store.end = nil
		q.wants(t, h, "as long as it may be in progress", signed(t, "/payments", "msg_1", d.body, time.Now().Add(time.Second)), 409, 1)
		<-time.After(15*time.Second + time.Millisecond) // the lease: a gateway that died does not block the webhook for longer
		q.wants(t, h, "afterwards", signed(t, "/payments", "msg_1", d.body, time.Now()), 200, 2)
	})
}

// TestStoreRecovers checks that a store that fails for a moment, after the message has been sent,
// still gets the response.
func TestStoreRecovers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := &queue{}
		store := &faulty{Store: memory.New(memory.Limits{}), end: errors.New("no store"), left: 3}
		h := idempotent(q, gateway.Idempotency{}, gateway.WithStore(store))
		p := post{target: "/payments", body: onePayment, key: "k"}
		if first, second := p.to(h), p.to(h); first.Code != 201 || second.Code != 201 || q.count() != 1 {
			t.Errorf("%d, then %d; %d messages", first.Code, second.Code, q.count())
		}
	})
}

// TestWebhookGateways checks that gateways with the same store accept a webhook once, and that
// the webhooks of another gateway in that store are its own.
func TestWebhookGateways(t *testing.T) {
	t.Parallel()
	q, store := &queue{}, memory.New(memory.Limits{})
	a, b := hooks(t, q, gateway.WithStore(store)), hooks(t, q, gateway.WithStore(store))
	d := signed(t, "/payments", "msg_1", `{"id":"p_1"}`, time.Now())
	q.wants(t, a, "the first gateway", d, 200, 1)
	q.wants(t, b, "the second gateway", d, 401, 1)
	other := gateway.New("other", gateway.WithLogger(quiet()), gateway.WithStore(store))
	gateway.Webhook(other, "POST /payments", micro.NewClient(q), paid, standard(t))
	q.wants(t, other.Handler(), "another gateway", d, 200, 2)
}
