package proc

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/msctl/msctl/internal/tap"
)

// tapEnv returns the variable that makes a service report its messages.
func (r *run) tapEnv(s *service) []string {
	if s.runsBroker {
		return nil
	}
	return []string{r.hub.Env(s.spec.Name)}
}

// serveMessages sends the messages of the services, those that are kept and then new ones, until the
// client or the run has gone.
func (r *run) serveMessages(w http.ResponseWriter, req *http.Request) {
	viewer, past := r.hub.View()
	defer viewer.Close()
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := json.NewEncoder(w)
	flush := http.NewResponseController(w)
	for _, m := range past {
		if err := out.Encode(m); err != nil {
			return
		}
	}
	for {
		if len(viewer.C) == 0 && flush.Flush() != nil {
			return
		}
		select {
		case m, ok := <-viewer.C:
			if !ok {
				return
			}
			if err := out.Encode(m); err != nil {
				return
			}
		case <-req.Context().Done():
			return
		}
	}
}

// Messages passes the messages between the services of the run to pass, those of before and then new
// ones, until the run or ctx ends, or pass returns false. It returns nil when the run has ended.
func (c Control) Messages(ctx context.Context, pass func(tap.Message) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.Address+"/messages", nil)
	if err != nil {
		return fmt.Errorf("query the run at %s: %w", c.Address, err)
	}
	req.Header.Set("Authorization", "Bearer "+c.Secret)
	transport := &http.Transport{DisableKeepAlives: true, Proxy: nil}
	res, err := transport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("query the run at %s: %w", c.Address, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("query the run at %s: %s", c.Address, res.Status)
	}
	lines := bufio.NewReaderSize(res.Body, 64<<10)
	dec := json.NewDecoder(lines)
	for {
		var m tap.Message
		if err := dec.Decode(&m); err != nil {
			var syntax *json.SyntaxError
			if errors.As(err, &syntax) {
				return fmt.Errorf("query the run at %s: %w", c.Address, err)
			}
			return ctx.Err() // the run has ended
		}
		if !pass(m) {
			return nil
		}
	}
}
