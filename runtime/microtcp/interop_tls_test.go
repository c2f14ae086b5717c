package microtcp_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

// TestTLSWithNest talks to NestJS over TLS and over mutual TLS, both ways, and is refused without the right certificate.
func TestTLSWithNest(t *testing.T) {
	certificates := testenv.NewCertificates(t)
	files := []string{"--tls-ca", certificates.CAFile, "--tls-key", certificates.KeyFile, "--tls-cert", certificates.CertFile}
	for _, version := range testenv.LiveVersions() {
		t.Run("our client, NestJS "+string(version), func(t *testing.T) {
			t.Parallel()
			server := testenv.Nest(t, version, append(files, "--tls-request-cert")...)
			client := micro.NewClient(microtcp.Dial(server.Addr, microtcp.WithTLS(certificates.Client)))
			defer client.Close()
			got, err := micro.Call[string](t.Context(), client, micro.Name("echo"), "a😀b")
			if got != "a😀b" || err != nil {
				t.Errorf("echo over mutual TLS: %q, %v", got, err)
			}
			stranger := micro.NewClient(microtcp.Dial(server.Addr, microtcp.WithTLS(certificates.Trusting())))
			defer stranger.Close()
			_, err = micro.Call[string](t.Context(), stranger, micro.Name("echo"), "x")
			if !errors.Is(err, micro.ErrConnectionLost) && !errors.Is(err, micro.ErrUnreachable) {
				t.Errorf("echo without a client certificate: %v", err)
			}
		})
		t.Run("our server, NestJS "+string(version), func(t *testing.T) {
			t.Parallel()
			w := startTwin(t, microtcp.WithTLS(certificates.MutualServer()))
			client := testenv.NestClient(t, version, append(files, "--port", portOf(t, w.addr))...)
			events, err := client.Call(testenv.Call{Pattern: json.RawMessage(`"echo"`), Data: json.RawMessage(`"a😀b"`)})
			if err != nil {
				t.Fatal(err)
			}
			if diff := lineDiff([]string{`{"next":"a😀b"}`, `{"complete":true}`}, texts(events)); diff != "" {
				t.Errorf("echo over mutual TLS:\n%s", diff)
			}
			stranger := testenv.NestClient(t, version, "--tls-ca", certificates.CAFile, "--port", portOf(t, w.addr))
			events, err = stranger.Call(testenv.Call{Pattern: json.RawMessage(`"echo"`)})
			if err != nil || len(events) != 1 || events[0].Kind != "error" {
				t.Errorf("echo without a client certificate: %v, %v", events, err)
			}
		})
	}
}

func texts(events []testenv.Event) []string {
	var out []string
	for _, event := range events {
		out = append(out, fmt.Sprint(event))
	}
	return out
}
