package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// startOrders serves POST /orders as a gateway does, with the body changed by reply.
func startOrders(t *testing.T, reply func(string) string) *generator {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil || req.Method != http.MethodPost || req.URL.Path != "/orders" || strings.Count(req.Header.Get("Authorization"), ".") != 2 {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, reply(string(body))) // the generator may have gone
	}))
	t.Cleanup(server.Close)
	return &generator{transport: "http", addr: server.Listener.Addr().String(), conns: 2, inFlight: 2, exchange: orders(3)}
}

func same(body string) string { return body }

func TestGeneratorMeasuresHTTP(t *testing.T) {
	for _, rate := range []float64{0, 500} {
		g := startOrders(t, same)
		g.rate = rate
		took := measured(t, g)
		// An open loop sends what is due, however long it takes: 20 ms of 220 ms are for the warm-up.
		if rate > 0 && len(took) != 100 {
			t.Errorf("%d requests at %v per second in 200 ms", len(took), rate)
		}
	}
}

func TestGeneratorRefusesWrongResponses(t *testing.T) {
	for _, rate := range []float64{0, 500} {
		g := startOrders(t, func(body string) string { return strings.Replace(body, "19.95", "19.96", 1) })
		g.rate = rate
		if _, err := g.run(t.Context(), 20*time.Second, time.Second, func() {}); err == nil || !strings.Contains(err.Error(), "wrong reply") {
			t.Errorf("a wrong reply gave the error %v", err)
		}
	}
	g := startOrders(t, same)
	g.exchange.tokens.list = []string{"none"}
	if _, err := g.run(t.Context(), 20*time.Second, time.Second, func() {}); err == nil || !strings.Contains(err.Error(), "400 Bad Request") {
		t.Errorf("a rejected request gave the error %v", err)
	}
}

func TestHTTPResponsesInParts(t *testing.T) {
	const one, two = "HTTP/1.1 201 Created\r\nX-A: b\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"
	w := newHTTPWire(orders(1))
	want := []string{"abc ", " "}
	for cut := range len(one + two) {
		rest, parts := readSome(w, []byte((one + two)[:cut]))
		_, more := readSome(w, append(rest, (one + two)[cut:]...))
		if diff := cmp.Diff(want, append(parts, more...)); diff != "" {
			t.Errorf("cut at %d:\n%s", cut, diff)
		}
	}
}

// TestHighestRate checks which row sets the rate of the others.
func TestHighestRate(t *testing.T) {
	all := gatewayRows()
	samples := make([][]sample, len(all))
	if rate := highestRate(all, samples); rate != 0 {
		t.Errorf("the rate is %v without a measurement", rate)
	}
	for i, r := range all {
		samples[i] = []sample{{requests: 10, length: time.Second}, {requests: 1000 * (i + 1), length: 2 * time.Second}}
		if r.group == closedLoop && r.make == nest && i != 0 {
			t.Errorf("row %d is a second reference", i)
		}
	}
	if rate := highestRate(all, samples); rate != 500 {
		t.Errorf("the rate is %v, want that of the latest repetition", rate)
	}
}
