package web_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/web"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

// describe answers with what it got: the version of HTTP, the method, the URL, some
// headers, and the body.
func describe(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%d %s %s tenant=%s auth=%s key=%s type=%s %s", r.ProtoMajor, r.Method, r.URL, r.Header.Get("X-Tenant"), r.Header.Get("Authorization"),
		r.Header.Get("X-Api-Key"), r.Header.Get("Content-Type"), body)
}

// TestRedirects follows redirects as browsers do: a method may become GET, and
// credentials are not sent to another host.
func TestRedirects(t *testing.T) {
	other := serve(t, describe)
	mux := http.NewServeMux()
	mux.HandleFunc("/", describe)
	mux.HandleFunc("/away", redirect(307, other.URL+"/there"))
	mux.HandleFunc("/loop", redirect(302, "/loop"))
	mux.HandleFunc("/bad", redirect(302, "mailto:me"))
	for _, status := range []int{301, 302, 303, 307, 308} {
		mux.HandleFunc(fmt.Sprintf("/%d", status), redirect(status, "/items?page=2"))
	}
	s := serve(t, mux.ServeHTTP)
	header := http.Header{"X-Tenant": {"shop"}, "Authorization": {"me"}, "X-Api-Key": {"k"}}
	const same, get = "1 POST /items?page=2 tenant=shop auth=me key=k type=application/json {}", "1 GET /items?page=2 tenant=shop auth=me key=k type= "
	for path, want := range map[string]string{
		"/301": get, "/302": get, "/303": get, "/307": same, "/308": same, "/plain": "1 POST /plain tenant=shop auth=me key=k type=application/json {}",
		"/away": "1 POST /there tenant=shop auth= key= type=application/json {}",
	} {
		got, err := exchange(t, dial(t, s.URL+path, web.Options{Method: "POST", Header: header, Redirects: 2}), &micro.Request{Data: []byte("{}")})
		if err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", path, got, err, want)
		}
	}
	var remote *micro.Error
	if _, err := exchange(t, dial(t, s.URL+"/loop", web.Options{Redirects: 3}), &micro.Request{}); !errors.As(err, &remote) || remote.Status != 302 {
		t.Errorf("too many redirects: %v", err)
	}
	if _, err := exchange(t, dial(t, s.URL+"/bad", web.Options{Redirects: 3}), &micro.Request{}); !errors.Is(err, micro.ErrConnectionLost) {
		t.Errorf("an invalid location: %v", err)
	}
}

// TestHTTP2 sends requests over HTTP/2, with and without TLS.
func TestHTTP2(t *testing.T) {
	secure := httptest.NewUnstartedServer(http.HandlerFunc(describe))
	secure.EnableHTTP2 = true
	secure.StartTLS()
	t.Cleanup(secure.Close)
	plain := httptest.NewUnstartedServer(http.HandlerFunc(describe))
	plain.Config.Protocols = &http.Protocols{}
	plain.Config.Protocols.SetUnencryptedHTTP2(true)
	plain.Start()
	t.Cleanup(plain.Close)
	roots := x509.NewCertPool()
	roots.AddCert(secure.Certificate())
	for _, url := range []string{secure.URL, plain.URL} {
		c := dial(t, url+"/items?page=1", web.Options{
			Method: "PUT", HTTP2: true, TLS: &tls.Config{RootCAs: roots, ServerName: "example.com"}, Header: http.Header{"X-Tenant": {"shop"}},
		})
		got, err := exchange(t, c, &micro.Request{Data: []byte("{}")})
		if want := "2 PUT /items?page=1 tenant=shop auth= key= type=application/json {}"; err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", url, got, err, want)
		}
	}
	never := make(chan struct{})
	t.Cleanup(func() { close(never) })
	silent := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-never:
		case <-r.Context().Done():
		}
	}))
	silent.Config.Protocols = plain.Config.Protocols
	silent.Start()
	t.Cleanup(silent.Close)
	c := dial(t, silent.URL, web.Options{HTTP2: true})
	if _, err := exchange(t, c, &micro.Request{Deadline: time.Now().Add(50 * time.Millisecond)}); !errors.Is(err, micro.ErrTimeout) {
		t.Errorf("no response: %v", err)
	}
	if _, err := exchange(t, dial(t, "http://127.0.0.1:1", web.Options{HTTP2: true}), &micro.Request{}); !errors.Is(err, micro.ErrUnreachable) {
		t.Errorf("nothing is listening: %v", err)
	}
}

// TestPath sends requests whose path differs, over both versions.
func TestPath(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(describe))
	s.Config.Protocols = &http.Protocols{}
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	for version, http2 := range map[int]bool{1: false, 2: true} {
		c := dial(t, s.URL+"/fixed", web.Options{HTTP2: http2})
		for _, path := range []string{"/items/7?x=a%20b", "/items/8", ""} {
			req := &micro.Request{}
			want := fmt.Sprintf("%d GET /fixed tenant= auth= key= type= ", version)
			if path != "" {
				req.Metadata.Set(web.PathKey, path)
				req.Metadata.Set("X-Tenant", "t")
				want = fmt.Sprintf("%d GET %s tenant=t auth= key= type= ", version, path)
			}
			if got, err := exchange(t, c, req); err != nil || got != want {
				t.Errorf("%q, %v, want %q", got, err, want)
			}
		}
	}
}

// TestStatuses checks that a run counts the statuses of the responses, and what it
// expects of them.
func TestStatuses(t *testing.T) {
	n := 0 // requests come one after the other
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		n++
		w.WriteHeader([]int{200, 201, 404, 302}[n%4])
		_, _ = io.WriteString(w, "{}")
	})
	odd := errors.New("odd")
	for _, c := range []struct {
		name   string
		accept func(int) bool
		expect func(micro.Value) error
		ok     int64
	}{
		{"by default", nil, nil, 4},
		{"all are accepted", func(int) bool { return true }, nil, 8},
		{"one is expected", func(int) bool { return true }, func(v micro.Value) error {
			if v.Any.(web.Status) != 302 || string(v.Raw) != "{}" {
				return odd
			}
			return nil
		}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := dial(t, s.URL, web.Options{Accept: c.accept})
			r, err := load.Start(t.Context(), load.Plan{
				Messages: []load.Message{{Conns: []micro.Conn{conn}, Pattern: micro.Name("GET /"), HTTP: true, Expect: c.expect}},
				Policy:   policy.New(policy.WithTimeout(waitLimit)), Users: 1, Requests: 8,
			})
			if err != nil {
				t.Fatal(err)
			}
			res := r.Wait()
			if got := res.Totals.Outcomes[load.OK]; got != c.ok || res.Totals.Outcomes[load.Error] != 8-c.ok {
				t.Errorf("outcomes %v, want %d ok", res.Totals.Outcomes, c.ok)
			}
			counts := map[int]int64{}
			for _, s := range res.Statuses {
				counts[s.Status] = s.Count
			}
			if diff := cmp.Diff(map[int]int64{200: 2, 201: 2, 302: 2, 404: 2}, counts); diff != "" {
				t.Errorf("statuses -want +got\n%s", diff)
			}
			if c.expect != nil && (len(res.Errors) != 3 || res.Errors[0].Text != "unexpected reply: odd" || res.Errors[0].Status == 0) {
				t.Errorf("errors: %+v", res.Errors)
			}
		})
	}
}
