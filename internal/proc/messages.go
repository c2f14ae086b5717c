package proc

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/msctl/msctl/internal/tap"
	"github.com/msctl/msctl/internal/tap/node"
)

// tapEnv returns the variables that make a service with the environment env report its messages.
func (s *service) tapEnv(env []string) []string {
	if s.runsBroker || !s.spec.Taps() {
		return nil
	}
	own := []string{s.run.hub.Env(s.spec.Name)}
	if len(s.spec.Command) == 0 {
		return own
	}
	script, err := node.Write(s.run.builder.dir)
	if err != nil { // the service works without it
		s.run.warn("%v", err)
		return own
	}
	return slices.Concat(own, node.Env(script, env))
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
	res, err := c.send(ctx, http.MethodGet, "/messages")
	if err != nil {
		return err
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
