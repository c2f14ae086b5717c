package otlp

import (
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/msctl/msctl/internal/secret"
)

// TestTLS checks a collector behind TLS, whose certificate is trusted only if the environment names it.
func TestTLS(t *testing.T) {
	var r receiver
	server := httptest.NewUnstartedServer(&r)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	defer server.Close()
	l := quick()
	l.retries = 0
	x := endpoint(t, server.URL).start("", false, l)
	x.Add(message(t, sent))
	if stats := x.Close(); stats.Sent != 0 || stats.Lost != 1 || !strings.Contains(stats.Last.Error(), "certificate") {
		t.Errorf("without its certificate: %+v", stats)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", file)
	x = endpoint(t, server.URL).start("", false, quick())
	x.Add(message(t, sent))
	if stats := x.Close(); stats != (Stats{Sent: 1}) {
		t.Errorf("with its certificate: %+v", stats)
	}
}

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"http://localhost:4318":               "http://localhost:4318/v1/traces",
		"https://host/":                       "https://host/v1/traces",
		"https://host/otlp":                   "https://host/otlp/v1/traces",
		"http://host/v1/traces":               "http://host/v1/traces",
		"http://ada:cAnArY7731@host":          "http://host/v1/traces",
		"http://host?token=cAnArY7731":        "http://host/v1/traces",
		"localhost:4318":                      "!invalid URL",
		"grpc://localhost:4317":               "!invalid URL",
		"http://":                             "!invalid URL",
		"http://ada:cAnArY7731@[host":         "!invalid URL",
		"http://ada:cAnArY7731@host:port/":    "!invalid URL",
		"tcp://ada:cAnArY7731@localhost:4318": "!invalid URL",
	} {
		secrets := &secret.Set{}
		e, err := Parse(text, secrets)
		var got string
		if err != nil {
			got = "!" + err.Error()
		} else {
			got = e.String()
		}
		if !strings.HasPrefix(got, want) || strings.Contains(got, "cAnArY") {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestEnvironment(t *testing.T) {
	for _, tt := range []struct {
		all, traces string
		want        string // the header, or the error after !
	}{
		{"api-key=cAnArY7731, x=a%20b ,", "", "map[Api-Key:[cAnArY7731] X:[a b]]"},
		{"api-key=other", "x=1", "map[X:[1]]"},
		{"api-key", "", "!OTEL_EXPORTER_OTLP_HEADERS: header 1 is not NAME=VALUE"},
		{"a=b,c d=cAnArY7731", "", "!OTEL_EXPORTER_OTLP_HEADERS: header 2 is not NAME=VALUE"},
		{"", "a=cAnArY7731%0aX", "!OTEL_EXPORTER_OTLP_TRACES_HEADERS: header 1 is not NAME=VALUE"},
		{"a=cAnArY7731%zz", "", "!OTEL_EXPORTER_OTLP_HEADERS: header 1 is not NAME=VALUE"},
	} {
		t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", tt.all)
		t.Setenv("OTEL_EXPORTER_OTLP_TRACES_HEADERS", tt.traces)
		secrets := &secret.Set{}
		e, err := Parse("http://localhost", secrets)
		if want, ok := strings.CutPrefix(tt.want, "!"); ok {
			if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "cAnArY") {
				t.Errorf("%v, want %s", err, want)
			}
			continue
		}
		if err != nil || fmt.Sprint(map[string][]string(e.header)) != tt.want {
			t.Errorf("%v, %v, want %s", e, err, tt.want)
		}
		if strings.Contains(tt.all, "cAnArY") && strings.Contains(secrets.Mask("it is cAnArY7731"), "cAnArY") {
			t.Error("the value of a header is not a secret")
		}
	}
	for file, want := range map[string]string{"missing.pem": "OTEL_EXPORTER_OTLP_CERTIFICATE: open ", os.DevNull: "OTEL_EXPORTER_OTLP_CERTIFICATE: " + os.DevNull + " contains no certificate"} {
		t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "")
		t.Setenv("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "")
		t.Setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", file)
		if _, err := Parse("http://localhost", nil); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
