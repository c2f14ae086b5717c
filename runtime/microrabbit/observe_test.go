package microrabbit

import (
	"context"
	"errors"
	"fmt"

	"github.com/msctl/msctl/runtime/micro"
)

// observe sends a message through c and returns what its caller observes, in the format of
// the recordings of NestJS callers (docs/wire.md 11): {"next":V} for each value, and one
// line for the end.
func observe(ctx context.Context, c *micro.Client, req *micro.Request) (lines []string) {
	err := c.Do(ctx, req, micro.ReplyFunc(func(v micro.Value) error {
		if v.Undefined() {
			v.Raw = []byte(`"(undefined)"`)
		}
		lines = append(lines, fmt.Sprintf(`{"next":%s}`, v.Raw))
		return nil
	}))
	var remote *micro.Error
	switch {
	case err == nil && req.Event:
		return []string{`{"emitted":true}`}
	case err == nil:
		return append(lines, `{"complete":true}`)
	case errors.As(err, &remote) && remote.Remote():
		return append(lines, fmt.Sprintf(`{"error":%s}`, remote.Payload))
	case errors.Is(err, micro.ErrTimeout):
		return append(lines, `{"error":{"name":"TimeoutError","message":"Timeout has occurred"}}`) // RxJS's timeout
	}
	return append(lines, fmt.Sprintf(`{"error":%q}`, err))
}
