package stagger

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestFirst describes each target by what it does: "refuse@10ms", "accept@1s", "silent", and
// "restart@1s", which refuses at once until then.
func TestFirst(t *testing.T) {
	for _, c := range []struct {
		targets string
		want    string // the target of the connection, or the error's
		after   time.Duration
	}{
		{"accept@10ms", "accept@10ms", 10 * time.Millisecond},
		{"silent accept@10ms", "accept@10ms", 260 * time.Millisecond},
		{"silent silent accept@0s silent", "accept@0s", 500 * time.Millisecond},
		{"refuse@0s accept@10ms", "accept@10ms", 10 * time.Millisecond},
		{"refuse@1s accept@900ms", "accept@900ms", 1150 * time.Millisecond},
		{"accept@300ms accept@10ms", "accept@10ms", 260 * time.Millisecond},
		{"accept@255ms accept@10ms", "accept@255ms", 255 * time.Millisecond},
		{"refuse@2ms refuse@3ms", "error: refuse@2ms", 5 * time.Millisecond},
		{"silent refuse@3ms", "error: refuse@3ms", 5 * time.Second},
		{"silent restart@700ms", "restart@700ms", 1000 * time.Millisecond},
		{"restart@700ms silent restart@600ms", "restart@600ms", 1000 * time.Millisecond},
		{"restart@700ms refuse@3ms", "error: restart@700ms", 3 * time.Millisecond},
		{"silent", "error: context deadline exceeded", 5 * time.Second},
	} {
		t.Run(c.targets, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				began := time.Now()
				ctx = context.WithValue(ctx, beginning{}, began)
				conn, err := First(ctx, strings.Fields(c.targets), pretend)
				var got string
				if err != nil {
					got = "error: " + strings.TrimPrefix(err.Error(), "dial tcp: ")
				} else {
					got = conn.(connTo).target
				}
				if took := time.Since(began); got != c.want || took != c.after {
					t.Errorf("%s after %v, want %s after %v", got, took, c.want, c.after)
				}
				cancel()
				synctest.Wait() // no goroutine is left
				if n := len(open); err == nil && n != 1 || err != nil && n != 0 {
					t.Errorf("%d connections are open", n)
				}
				clear(open)
			})
		})
	}
}

// connTo is a connection to a target of TestFirst.
type connTo struct {
	net.Conn
	target string
}

var open = map[string]bool{}

type beginning struct{}

func (c connTo) Close() error {
	delete(open, c.target)
	return nil
}

func pretend(ctx context.Context, target string) (net.Conn, error) {
	what, text, _ := strings.Cut(target, "@")
	if what == "silent" {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	after, err := time.ParseDuration(text)
	if err != nil {
		return nil, err
	}
	if what == "restart" {
		if time.Since(ctx.Value(beginning{}).(time.Time)) < after {
			return nil, errors.New(target)
		}
		after = 0
	}
	select {
	case <-time.After(after):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if what == "refuse" {
		return nil, errors.New(target)
	}
	open[target] = true
	return connTo{target: target}, nil
}

func TestAlternate(t *testing.T) {
	addresses := func(text string) (all []netip.Addr) {
		for f := range strings.FieldsSeq(text) {
			all = append(all, netip.MustParseAddr(f))
		}
		return all
	}
	for in, want := range map[string]string{
		"":                             "",
		"10.0.0.1 10.0.0.2":            "10.0.0.1 10.0.0.2",
		"::1 ::2 10.0.0.1":             "::1 10.0.0.1 ::2",
		"10.0.0.1 10.0.0.2 ::1":        "10.0.0.1 ::1 10.0.0.2",
		"::ffff:10.0.0.1 ::1 10.0.0.2": "::ffff:10.0.0.1 ::1 10.0.0.2",
	} {
		if got := alternate(addresses(in)); !slices.Equal(got, addresses(want)) {
			t.Errorf("%s: %v, want %s", in, got, want)
		}
	}
}

func TestDial(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	for _, host := range []string{"127.0.0.1", "localhost"} {
		conn, err := Dial(t.Context(), net.JoinHostPort(host, port))
		if err != nil {
			t.Fatalf("%s: %v", host, err)
		}
		_ = conn.Close()
	}
	for _, bad := range []string{"no port", "host.invalid:1", "127.0.0.1:1", "localhost:1"} {
		if _, err := Dial(t.Context(), bad); err == nil {
			t.Errorf("%s: connected", bad)
		}
	}
}
