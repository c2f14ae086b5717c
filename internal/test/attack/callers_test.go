package attack_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"sync"
	"testing"
)

// attackLimits pretends to be another client with each request.
func attackLimits(t *testing.T, g *target) {
	t.Helper()
	accepted := 0
	for n := range 10 * hourlyLimit {
		a := g.exchange(t, request{target: "GET /limited", header: []string{
			fmt.Sprintf("X-Forwarded-For: 198.51.100.%d", n), fmt.Sprintf("X-Real-Ip: 198.51.100.%d", n), fmt.Sprintf("Forwarded: for=198.51.100.%d", n),
			fmt.Sprintf("CF-Connecting-IP: 198.51.100.%d", n), fmt.Sprintf("True-Client-IP: 198.51.100.%d", n), "Authorization: Bearer x" + fmt.Sprint(n),
		}}.text())
		if a.status == http.StatusOK {
			accepted++
			continue
		}
		a.refused(t, 429)
		if a.header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	if accepted != hourlyLimit {
		t.Errorf("%d requests were accepted, where %d are allowed", accepted, hourlyLimit)
	}
}

// attackWebhooks sends a recorded webhook again: one after the other, at the same time, and changed.
func attackWebhooks(t *testing.T, g *target) {
	t.Helper()
	send := func(body, signature string) answer {
		return g.exchange(t, request{target: "POST /webhook", body: body, header: []string{"X-Hub-Signature-256: " + signature}}.text())
	}
	const body = `{"action":"paid","amount":100}`
	good := signature(body)
	if a := send(body, good); a.status != http.StatusOK || a.body != body {
		t.Fatalf("%d %s %v for a good webhook", a.status, a.body, a.err)
	}
	send(body, good).refused(t, 401)
	send(`{"action":"paid","amount":900}`, good).refused(t, 401)
	send(body, "").refused(t, 401)
	send(body, "sha1="+good[7:]).refused(t, 401)

	const another = `{"action":"paid","amount":200}`
	statuses := make(chan int, 20)
	var sending sync.WaitGroup
	for range cap(statuses) {
		sending.Go(func() { statuses <- send(another, signature(another)).status })
	}
	sending.Wait()
	close(statuses)
	accepted := 0
	for status := range statuses {
		switch status {
		case http.StatusOK:
			accepted++
		case http.StatusUnauthorized, http.StatusConflict, http.StatusServiceUnavailable: // accepted before, or being handled
		default:
			t.Errorf("status %d for a webhook that is sent at the same time", status)
		}
	}
	if accepted != 1 {
		t.Errorf("a webhook that was sent %d times was accepted %d times", cap(statuses), accepted)
	}
}

// signature signs a webhook.
func signature(body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}
