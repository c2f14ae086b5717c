package target

import "testing"

func TestLoopback(t *testing.T) {
	for address, want := range map[string]bool{
		"localhost:3002": true, "127.0.0.1:3002": true, "127.9.9.9:1": true, "[::1]:3002": true, "0.0.0.0:1": true,
		"192.0.2.1:3002": false, "items:3002": false, "items.example.com:3002": false,
		"http://localhost/items": true, "http://127.0.0.1:3001/items": true, "https://example.com/localhost": false,
	} {
		if got := (Target{Addresses: []string{"items:1", address}}).Loopback(); got != want {
			t.Errorf("%s: %t", address, got)
		}
	}
	if (Target{}).Loopback() {
		t.Error("a target without addresses is on this machine")
	}
}
