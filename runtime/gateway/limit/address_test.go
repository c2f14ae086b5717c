package limit

import (
	"net/http"
	"net/netip"
	"testing"
)

func TestClient(t *testing.T) {
	proxies := Proxies{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for _, tt := range []struct {
		name, remote string
		forwarded    []string
		want         string
	}{
		{"direct", "203.0.113.7:1234", nil, "203.0.113.7"},
		{"direct, with an invented header", "203.0.113.7:1234", []string{"198.51.100.1"}, "203.0.113.7"},
		{"one proxy", "10.0.0.1:1", []string{"203.0.113.7"}, "203.0.113.7"},
		{"one proxy, and an invented address", "10.0.0.1:1", []string{"1.1.1.1, 203.0.113.7"}, "203.0.113.7"},
		{"two proxies", "10.0.0.1:1", []string{"1.1.1.1, 203.0.113.7 ,10.0.0.2"}, "203.0.113.7"},
		{"several headers", "10.0.0.1:1", []string{"1.1.1.1", "203.0.113.7", "10.0.0.2"}, "203.0.113.7"},
		{"a proxy that sends no header", "10.0.0.1:1", nil, "10.0.0.1"},
		{"an invalid header", "10.0.0.1:1", []string{"1.1.1.1, unknown"}, "10.0.0.1"},
		{"an empty header", "10.0.0.1:1", []string{""}, "10.0.0.1"},
		{"only proxies", "10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"with a port", "10.0.0.1:1", []string{"203.0.113.7:8080"}, "203.0.113.7"},
		{"IPv6", "[fd00::1]:1", []string{"2001:db8::1"}, "2001:db8::1"},
		{"IPv6 with a port", "[fd00::1]:1", []string{"[2001:db8::1]:99"}, "2001:db8::1"},
		{"IPv6 in brackets", "[fd00::1]:1", []string{"[2001:db8::1]"}, "2001:db8::1"},
		{"IPv4 in IPv6", "[::ffff:10.0.0.1]:1", []string{"::ffff:203.0.113.7"}, "203.0.113.7"},
		{"a zone", "[fe80::1%eth0]:1", nil, "fe80::1"},
		{"not an address", "@", []string{"203.0.113.7"}, "invalid IP"},
	} {
		req := &http.Request{RemoteAddr: tt.remote, Header: http.Header{"X-Forwarded-For": tt.forwarded}}
		if got := proxies.Client(req).String(); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
		if got := Proxies(nil).Client(req); got != parse(tt.remote) {
			t.Errorf("%s, without proxies: %s", tt.name, got)
		}
	}
}

func TestGroup(t *testing.T) {
	for from, want := range map[string]string{
		"203.0.113.7": "203.0.113.7", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::", "2001:db8:1:2::1": "2001:db8:1:2::", "2001:db8:1:3::1": "2001:db8:1:3::",
	} {
		if got := Group(netip.MustParseAddr(from)); got.String() != want {
			t.Errorf("%s: %s, want %s", from, got, want)
		}
	}
	if Group(netip.Addr{}).IsValid() {
		t.Error("an invalid address has become valid")
	}
}

func FuzzClient(f *testing.F) {
	f.Add("1.1.1.1, 2.2.2.2")
	f.Add("[::1]:80,,x")
	f.Fuzz(func(t *testing.T, header string) {
		proxies := Proxies{netip.MustParsePrefix("10.0.0.0/8")}
		req := &http.Request{RemoteAddr: "10.0.0.1:1", Header: http.Header{"X-Forwarded-For": {header}}}
		if got := proxies.Client(req); !got.IsValid() {
			t.Errorf("%q: no address", header)
		}
		req.RemoteAddr = "11.0.0.1:1"
		if got := proxies.Client(req); got != netip.MustParseAddr("11.0.0.1") {
			t.Errorf("%q: %s, although the connection is not that of a proxy", header, got)
		}
	})
}
