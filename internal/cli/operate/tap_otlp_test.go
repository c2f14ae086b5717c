package operate

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/tap"
	"github.com/msctl/msctl/internal/term"
	reported "github.com/msctl/msctl/runtime/tap"
)

// exportingView returns a view with a collector that replies with a status, and a file.
func exportingView(t *testing.T, status int) (v tapView, printed *term.Buffers, file *bytes.Buffer, url string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	t.Cleanup(server.Close)
	s, printed := term.NewTest("", term.Facts{})
	file = &bytes.Buffer{}
	v = tapView{io: s, o: tapOptions{otlp: exporting{url: server.URL}}, lines: tap.NewLines(), file: json.NewEncoder(file)}
	if err := v.checkOTLP(); err != nil {
		t.Fatal(err)
	}
	return v, printed, file, server.URL + "/v1/traces"
}

func handled(span string) tap.Message {
	m := tap.Message{Service: "items"}
	m.Kind, m.Span, m.Pattern, m.Outcome = reported.Handle, span, `"find"`, reported.OK
	return m
}

// TestTapOTLP checks that messages reach a collector and a file alike, and what is printed at the end.
func TestTapOTLP(t *testing.T) {
	for _, tt := range []struct {
		status, code int
		printed, err string // followed by the URL
	}{
		{200, exit.Done, "sent 2 spans to ", ""},
		{403, exit.Unreachable, "", "--otlp: none of 2 spans could be sent to "},
	} {
		v, printed, file, url := exportingView(t, tt.status)
		end := v.startOTLP()
		for _, span := range []string{"1", "2"} {
			if err := v.keep(handled(span)); err != nil {
				t.Fatal(err)
			}
		}
		err := end()
		if exit.Code(err) != tt.code || err != nil && !strings.HasPrefix(err.Error(), tt.err+url+": status 403") {
			t.Errorf("status %d: %v", tt.status, err)
		}
		if text := printed.Err.String(); tt.printed == "" && text != "" || tt.printed != "" && text != tt.printed+url+"\n" {
			t.Errorf("status %d: printed %q", tt.status, text)
		}
		if n := strings.Count(file.String(), "\n"); n != 2 {
			t.Errorf("status %d: %d records in the file", tt.status, n)
		}
	}
}

// TestTapOTLPFails checks that lines are printed while a collector fails, and its first failure among them.
func TestTapOTLPFails(t *testing.T) {
	v, printed, _, url := exportingView(t, 500)
	end := v.startOTLP()
	messages, ended := make(chan tap.Message), make(chan error, 1)
	if err := v.add(handled("1")); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool { return len(v.exporter.Failing()) > 0 })
	go func() {
		await(t, func() bool { return len(v.exporter.Failing()) == 0 })
		messages <- handled("2")
		ended <- nil
	}()
	if err := v.show(t.Context(), messages, ended); err != nil {
		t.Fatal(err)
	}
	if err := end(); exit.Code(err) != exit.Unreachable {
		t.Error(err)
	}
	if text, want := printed.Err.String(), "note: messages cannot be sent to "+url+" now: status 500 Internal Server Error\n"; text != want {
		t.Errorf("printed %q, want %q", text, want)
	}
	if n := strings.Count(printed.Out.String(), "find"); n != 2 {
		t.Errorf("%d lines:\n%s", n, printed.Out.String())
	}
}

// await waits until a condition holds.
func await(t *testing.T, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	limit := time.After(time.Minute)
	for !holds() {
		select {
		case <-tick.C:
		case <-limit:
			t.Error("the condition never holds")
			return
		}
	}
}
