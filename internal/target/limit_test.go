package target

import (
	"errors"
	"fmt"
	"testing"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microrabbit"
)

// TestExplainLimit checks that the error for a RabbitMQ without room names the limit, and the
// hint how to raise it, also if another address has another problem.
func TestExplainLimit(t *testing.T) {
	to, err := ParseURL("amqp://a,b/items")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		limit      microrabbit.LimitError
		text, hint string
	}{
		{
			microrabbit.LimitError{Limit: "max-connections", Of: "virtual host", Name: "/", Max: 10},
			`max-connections of the virtual host "/" is 10`, "`rabbitmqctl set_vhost_limits -p / '{\"max-connections\": N}'` raises the limit",
		},
		{
			microrabbit.LimitError{Limit: "max-channels", Of: "user", Name: "shop", Max: 1},
			`max-channels of the user "shop" is 1`, "`rabbitmqctl set_user_limits shop '{\"max-channels\": N}'` raises the limit",
		},
		{
			microrabbit.LimitError{Limit: "connection_max", Of: "node", Max: 5},
			`connection_max of the node is 5`, "connection_max in the broker's rabbitmq.conf raises the limit",
		},
	} {
		err := Explain(fmt.Errorf("%w: %w", micro.ErrUnreachable, errors.Join(errors.New("refused"), &tt.limit)), to)
		want := fmt.Sprintf("RabbitMQ at %s has no room at the moment: %s", to.Where(), tt.text)
		if hint := tt.hint + ", or increase --timeout to wait for room"; err.Error() != want || exit.Hint(err) != hint {
			t.Errorf("%v\nhint: %s\nwant: %s\nhint: %s", err, exit.Hint(err), want, hint)
		}
	}
}
