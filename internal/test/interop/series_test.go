package interop_test

import (
	"fmt"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/runtime/gateway"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtest"
	"github.com/msctl/msctl/runtime/telemetry"
)

// TestGatewaySeries checks that requests for 10,000 random paths of a gateway add no series to its metrics, and that a route
// is one series, whatever its parameters and however its path is spelled.
func TestGatewaySeries(t *testing.T) {
	tel := telemetry.New("gateway", telemetry.WithLogger(discard))
	t.Cleanup(tel.Close)
	s := micro.NewServer(micro.WithLogger(discard))
	gw := gateway.New("shop", gateway.WithLogger(discard), gateway.WithPublic(), gateway.WithObserver(tel.ObserveHTTP))
	gateway.Route(gw, "GET /orders/{id}", microtest.Serve(t, s), findOrder)
	handler := gw.Handler()
	request := func(method, path string) {
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), method, path, nil))
	}
	for i := range 10_000 {
		request("GET", fmt.Sprintf("/random-%d/%d", i, i))
	}
	for i := range 1000 {
		request(fmt.Sprint("M", i), fmt.Sprint("/orders/", i))
		request("GET", fmt.Sprint("/Orders/", i, "/"))
		request("GET", fmt.Sprint("//orders/", i))
	}
	families, err := tel.Registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		if f.GetName() != "msctl_http_requests_total" {
			continue
		}
		for _, m := range f.Metric {
			got[m.Label[0].GetValue()+" "+m.Label[1].GetValue()] += m.Counter.GetValue()
		}
	}
	want := map[string]float64{
		"other 404":            11_000,
		"other 405":            1000,
		"GET /orders/{id} 501": 1000, // the service has no handler
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
