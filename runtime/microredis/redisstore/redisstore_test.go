package redisstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/microredis/redisstore"
)

// longEnough is a timeout that a busy machine does not exceed.
const longEnough = time.Minute

// open opens a store with long timeouts, which is closed when the test ends.
func open(t testing.TB, url string, opts ...redisstore.Option) *redisstore.Store {
	t.Helper()
	opts = append([]redisstore.Option{
		redisstore.WithTimeout(longEnough), redisstore.WithDialTimeout(longEnough), redisstore.WithPrefix(testenv.Unique(t, "store") + ":"),
		redisstore.WithLogger(slog.New(slog.DiscardHandler)),
	}, opts...)
	s, err := redisstore.Open(url, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func value(t *testing.T, s *redisstore.Store, key string) int64 {
	t.Helper()
	v, now, err := s.GetWithTime(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if d := time.Since(now); d < -time.Minute || d > time.Minute {
		t.Errorf("the time of Redis is %v", now)
	}
	return v
}

func TestCounters(t *testing.T) {
	url := testenv.Redis(t).URL
	prefix := redisstore.WithPrefix(testenv.Unique(t, "shared") + ":")
	s, other := open(t, url, prefix), open(t, url, prefix)
	const large = 1<<62 + 1 // is not a number of Lua
	if v := value(t, s, "a"); v != -1 {
		t.Errorf("a counter that does not exist is %d", v)
	}
	for i, step := range []struct {
		do   func() (bool, error)
		want bool
	}{
		{func() (bool, error) { return s.SetIfNotExistsWithTTL(t.Context(), "a", large, time.Hour) }, true},
		{func() (bool, error) { return other.SetIfNotExistsWithTTL(t.Context(), "a", 8, time.Hour) }, false},
		{func() (bool, error) { return other.CompareAndSwapWithTTL(t.Context(), "a", large+1, 9, time.Hour) }, false},
		{func() (bool, error) { return other.CompareAndSwapWithTTL(t.Context(), "a", large, large+2, time.Hour) }, true},
		{func() (bool, error) { return s.CompareAndSwapWithTTL(t.Context(), "a", large, 1, time.Hour) }, false},
		{func() (bool, error) { return s.CompareAndSwapWithTTL(t.Context(), "none", 1, 2, time.Hour) }, false},
	} {
		if got, err := step.do(); got != step.want || err != nil {
			t.Errorf("step %d: %t, %v", i, got, err)
		}
	}
	if v := value(t, s, "a"); v != large+2 {
		t.Errorf("%d", v)
	}
	if ok, err := s.CompareAndSwapWithTTL(t.Context(), "a", large+2, 1, 0); !ok || err != nil {
		t.Error(ok, err)
	}
	testenv.Eventually(t, longEnough, "the counter to expire", func() bool { return value(t, s, "a") == -1 })
}

func TestKeys(t *testing.T) {
	url := testenv.Redis(t).URL
	prefix := redisstore.WithPrefix(testenv.Unique(t, "shared") + ":")
	s, other := open(t, url, prefix), open(t, url, prefix)
	binary := []byte("\x00\xff\r\n{}")
	add := func(s *redisstore.Store, key string, v []byte, ttl time.Duration) ([]byte, bool) {
		t.Helper()
		existing, added, err := s.Add(t.Context(), key, v, ttl)
		if err != nil {
			t.Fatal(err)
		}
		return existing, added
	}
	if existing, added := add(s, "a", binary, time.Hour); !added || existing != nil {
		t.Errorf("%q, %t", existing, added)
	}
	if existing, added := add(other, "a", []byte("2"), time.Hour); added || !bytes.Equal(existing, binary) {
		t.Errorf("%q, %t", existing, added)
	}
	if err := other.Set(t.Context(), "a", nil, time.Hour); err != nil {
		t.Error(err)
	}
	if existing, added := add(s, "a", []byte("2"), time.Hour); added || len(existing) != 0 {
		t.Errorf("%q, %t", existing, added)
	}
	if err := errors.Join(s.Delete(t.Context(), "a"), s.Delete(t.Context(), "a")); err != nil {
		t.Error(err)
	}
	if _, added := add(other, "a", []byte("3"), time.Millisecond); !added {
		t.Error("the key is not deleted")
	}
	testenv.Eventually(t, longEnough, "the key to expire", func() bool { _, added := add(s, "a", nil, time.Hour); return added })
	if v := value(t, s, "a"); v != -1 {
		t.Error("counters and keys are not apart")
	}
}

// TestKeysAreAddedOnce checks that of concurrent callers of two gateways, one adds a key.
func TestKeysAreAddedOnce(t *testing.T) {
	url := testenv.Redis(t).URL
	prefix := redisstore.WithPrefix(testenv.Unique(t, "shared") + ":")
	stores := []*redisstore.Store{open(t, url, prefix), open(t, url, prefix)}
	for i := range 20 {
		var added atomic.Int32
		var wg sync.WaitGroup
		for n := range 8 {
			wg.Go(func() {
				_, ok, err := stores[n%2].Add(t.Context(), fmt.Sprint(i), nil, time.Hour)
				if err != nil {
					t.Error(err)
				}
				if ok {
					added.Add(1)
				}
			})
		}
		wg.Wait()
		if added.Load() != 1 {
			t.Fatalf("%d callers have added the key", added.Load())
		}
	}
}

// TestKeysAreHashed checks that nothing a caller sends is part of a key in Redis.
func TestKeysAreHashed(t *testing.T) {
	broker := testenv.PrivateRedis(t)
	s := open(t, broker.URL, redisstore.WithPrefix("shop:"))
	for _, key := range []string{"secret", strings.Repeat("secret", 10_000), "\r\nsecret\x00"} {
		if _, _, err := s.Add(t.Context(), key, nil, time.Hour); err != nil {
			t.Error(err)
		}
		if _, err := s.SetIfNotExistsWithTTL(t.Context(), key, 1, time.Hour); err != nil {
			t.Error(err)
		}
	}
	address := strings.TrimPrefix(broker.URL, "redis://")
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "redis-cli", "-h", host, "-p", port, "KEYS", "*").Output()
	if err != nil {
		t.Fatal(err)
	}
	keys := strings.Fields(string(out))
	for _, key := range keys {
		if !strings.HasPrefix(key, "shop:") || len(key) > 60 || strings.Contains(key, "secret") {
			t.Errorf("key %q", key)
		}
	}
	if len(keys) != 6 {
		t.Errorf("%d keys", len(keys))
	}
}

// TestOutage checks that Redis is tried once per second while it is away, that no operation
// waits, and that the store recovers by itself.
func TestOutage(t *testing.T) {
	broker := testenv.PrivateRedis(t)
	var text testenv.Log
	s := open(t, broker.URL, redisstore.WithLogger(slog.New(slog.NewTextHandler(&text, nil))))
	if err := s.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	broker.Kill()
	if err := s.Ping(t.Context()); !errors.Is(err, redisstore.ErrUnavailable) {
		t.Fatal(err)
	}
	start := time.Now()
	tried := 0
	for range 10_000 {
		err := s.Delete(t.Context(), "a")
		if !errors.Is(err, redisstore.ErrUnavailable) {
			t.Fatal(err)
		}
		if err != redisstore.ErrUnavailable { //nolint:errorlint // one that was tried wraps it
			tried++
		}
	}
	if limit := 1 + int(time.Since(start)/time.Second); tried > limit {
		t.Errorf("Redis was tried %d times in %v", tried, time.Since(start))
	}
	broker.Start()
	testenv.Eventually(t, longEnough, "the store to recover", func() bool { return s.Ping(t.Context()) == nil })
	for range 100 {
		if err := s.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	log := text.String()
	if strings.Count(log, "Redis is not available") != 1 || strings.Count(log, "Redis is available again") != 1 {
		t.Errorf("log:\n%s", log)
	}
}

// TestHangingRedis checks that an operation waits for the timeout only, and that the end of
// the caller's context is not a failure of Redis.
func TestHangingRedis(t *testing.T) {
	var config net.ListenConfig
	silent, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0") // accepts by its backlog, and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	s := open(t, "redis://"+silent.Addr().String(), redisstore.WithTimeout(20*time.Millisecond))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Ping(gone); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := s.Ping(t.Context()); !errors.Is(err, redisstore.ErrUnavailable) {
		t.Error(err)
	}
}

// TestCredentials checks that the URL's login is used, and that no error contains it.
func TestCredentials(t *testing.T) {
	const secret = "hunter2"
	broker := testenv.PrivateRedis(t, "requirepass "+secret)
	login := func(password string) string {
		return strings.Replace(broker.URL, "redis://", "redis://:"+password+"@", 1)
	}
	if err := open(t, login(secret)).Ping(t.Context()); err != nil {
		t.Error(err)
	}
	for name, url := range map[string]string{"wrong": login(secret + "x"), "none": broker.URL} {
		err := open(t, url).Ping(t.Context())
		if !errors.Is(err, redisstore.ErrUnavailable) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, url := range []string{"", "http://h", "redis://user:" + secret + "#@h", "redis://h:" + secret} {
		if _, err := redisstore.Open(url); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%q: %v", url, err)
		}
	}
}

func TestTLSAndSentinel(t *testing.T) {
	certs := testenv.NewCertificates(t)
	secure := testenv.Redis(t, certs.Redis()...)
	if err := open(t, secure.URL, redisstore.WithTLS(certs.Client)).Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if err := open(t, secure.URL).Ping(t.Context()); err == nil {
		t.Error("a certificate that is not trusted is accepted")
	}
	sentinel := testenv.Sentinel(t, testenv.PrivateRedis(t))
	url := strings.Replace(sentinel.URL, "redis://", "redis+sentinel://", 1) + "/shop"
	if err := open(t, url).Ping(t.Context()); err != nil {
		t.Error(err)
	}
}
