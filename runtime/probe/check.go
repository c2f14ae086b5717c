package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
	"unicode"
)

const (
	checkTimeout = 5 * time.Second // longer than readyTimeout, so that the reason arrives
	maxReply     = 16 << 10        // bytes
)

// Check asks the private port of a running program, usually of the same container, for /ready.
// The address is that of [Listen]; where it stands for all interfaces, Check uses the loopback
// interface. It returns nil if the program is ready, and otherwise the reason, in one sentence.
// It takes at most 5 s.
func Check(ctx context.Context, address string) error {
	if address == "" {
		return errors.New("there is no private port")
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("private port: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = loopbackHost
		if ip != nil && ip.To4() == nil {
			host = "::1"
		}
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	s, err := fetchStatus(ctx, "http://"+net.JoinHostPort(host, port)+"/ready")
	switch {
	case err != nil:
		return err
	case s.Status == stateOK:
		return nil
	case s.Status == stateShuttingDown:
		return errors.New("the program is shutting down")
	case s.Message != "":
		return fmt.Errorf("not ready: %s", oneLine(s.Message))
	}
	return errors.New("not ready")
}

// fetchStatus returns the response of a probe. An error is anything that is not one.
func fetchStatus(ctx context.Context, url string) (s status, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return s, err
	}
	// No proxy of the environment: the port is on this machine.
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return s, fmt.Errorf("no reply from the private port: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	if err != nil {
		return s, fmt.Errorf("no reply from the private port: %w", err)
	}
	if json.Unmarshal(text, &s) != nil || s.Status == "" || (s.Status == stateOK) != (resp.StatusCode == http.StatusOK) {
		return s, fmt.Errorf("%s is not the private port of a program: it responds with status %d", req.URL.Host, resp.StatusCode)
	}
	return s, nil
}

// oneLine returns a text without control characters.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}
