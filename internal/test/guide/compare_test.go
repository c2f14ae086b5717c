package guide_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// limit is a safety net.
const limit = 2 * time.Minute

// script sends rows to one gateway, in order.
type script struct {
	addr   string
	ids    map[string]string // by placeholder
	tokens map[string]string // by caller
	client *http.Client
}

// response is what a client gets.
type response struct {
	status int
	kind   string // Content-Type
	body   string
}

// send sends a row and returns the response.
func (s *script) send(ctx context.Context, r row) (response, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	verb, path, _ := strings.Cut(s.fill(r.target), " ")
	req, err := http.NewRequestWithContext(ctx, verb, "http://"+s.addr+path, strings.NewReader(s.fill(r.body)))
	if err != nil {
		return response{}, err
	}
	if r.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if token := s.tokens[r.caller]; token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := s.client.Do(req)
	if err != nil {
		return response{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return response{res.StatusCode, res.Header.Get("Content-Type"), string(body)}, err
}

// fill replaces placeholders by the IDs that they stand for.
func (s *script) fill(text string) string {
	for placeholder, id := range s.ids {
		text = strings.ReplaceAll(text, placeholder, id)
	}
	return text
}

// run sends all rows and returns the responses, without what differs each time.
func (s *script) run(t *testing.T, rows []row) (all []response) {
	t.Helper()
	for _, r := range rows {
		got, err := s.send(t.Context(), r)
		if err != nil {
			t.Errorf("%s: %v", r.name, err)
		}
		if id := allIDs.FindStringSubmatch(got.body); r.keep != "" && id != nil {
			s.ids[r.keep] = id[1]
		}
		got.body = plain(got.body)
		all = append(all, got)
	}
	return all
}

var (
	allIDs = regexp.MustCompile(`"id":"([^"]+)"`)
	// volatile are the IDs and times of a response. Times have three decimals, as in JavaScript.
	volatile = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z|"responseTime":\d+`)
	// additional are the members of an item that only our service has.
	additional = regexp.MustCompile(`,?"(sold|views)":\d+`)
)

// plain returns a body without what differs each time, and without the members that only our service has.
func plain(body string) string {
	return additional.ReplaceAllString(volatile.ReplaceAllString(body, "…"), "")
}

// differencesOf returns how a response of a system may differ from NestJS's.
func (r row) differencesOf(s system) (all []*difference) {
	if s.gateway == ours && r.gateway != nil {
		all = append(all, r.gateway)
	}
	if s.service == ours && r.service != nil {
		all = append(all, r.service)
	}
	if s.gateway == ours && s.service == ours && r.both != nil {
		all = append(all, r.both)
	}
	return all
}

// check compares a response with NestJS's.
func (r row) check(s system, nest, got response) error {
	diff := cmp.Diff(nest, got, cmp.AllowUnexported(response{}))
	expected := r.differencesOf(s)
	switch {
	case len(expected) == 0 && diff != "":
		return fmt.Errorf("-NestJS +%s:\n%s", s, diff)
	case len(expected) > 0 && diff == "":
		return fmt.Errorf("%s responds as NestJS does: remove the reason %q", s, expected[0].reason)
	case len(expected) > 0 && !slices.ContainsFunc(expected, func(d *difference) bool { return d.status == got.status && strings.Contains(got.body, d.want) }):
		return fmt.Errorf("%s: %d %s, want %d %s", s, got.status, got.body, expected[0].status, expected[0].want)
	}
	return nil
}
