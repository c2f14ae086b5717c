package target

import (
	"strings"
	"testing"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/workspace"
)

// TestForeignOptions checks that the options of other programs are ignored wherever an
// address can be given, and that what may be a mistake is an error everywhere.
func TestForeignOptions(t *testing.T) {
	t.Chdir(t.TempDir())
	tests := []struct {
		transport      workspace.Transport
		address, query string
		want           string // the options that remain
		err            string // "" for none
	}{
		{workspace.RabbitMQ, "amqp://h", "heartbeat=30&frameMax=0x1000&channel_max=9&durable=false", "?durable=false", ""},
		{workspace.RabbitMQ, "amqps://h", "verify=verify_none&cacertfile=/a&cacertfile=/b&server_name_indication=x&connection_timeout=5", "", ""},
		{workspace.Redis, "redis://h", "family=0", "", ""},
		{workspace.Redis, "rediss://h/3", "ssl_cert_reqs=none&protocol=3&client_name=x&wildcards&db=1", "?wildcards", ""},
		{workspace.NATS, "nats://h", "maxReconnect=5&tls_verify=true&queue=q", "?queue=q", ""},
		{workspace.RabbitMQ, "amqp://h", "durabel=false", "", `unknown RabbitMQ option "durabel"`},
		{workspace.Redis, "redis://h", "wildcard", "", `unknown Redis option "wildcard"`},
		{workspace.NATS, "nats://h", "durable", "", `unknown NATS option "durable"`},
	}
	for _, tt := range tests {
		w := &workspace.Workspace{Brokers: map[workspace.Transport]string{tt.transport: tt.address + "?" + tt.query}}
		t.Setenv(tt.transport.Variable(), "")
		inFile, fileErr := locations{w: w}.target(&workspace.Service{Name: "mail", Transport: tt.transport})
		t.Setenv(tt.transport.Variable(), tt.address+"?"+tt.query)
		inEnv, envErr := locations{w: &workspace.Workspace{}}.target(&workspace.Service{Name: "mail", Transport: tt.transport})
		direct := tt.address
		if tt.transport == workspace.RabbitMQ {
			direct += "/mail"
		}
		inFlag, flagErr := new(Flags).Parse(t.Context(), direct+"?"+tt.query)
		for place, got := range map[string]struct {
			Target
			err error
		}{"msctl.yaml": {inFile, fileErr}, "the environment": {inEnv, envErr}, "--to": {inFlag, flagErr}} {
			switch {
			case tt.err != "":
				if got.err == nil || exit.Code(got.err) != exit.Usage || !strings.Contains(got.err.Error(), tt.err) {
					t.Errorf("%s?%s in %s: %v", tt.address, tt.query, place, got.err)
				}
			case got.err != nil:
				t.Errorf("%s?%s in %s: %v", tt.address, tt.query, place, got.err)
			default:
				if _, query, _ := strings.Cut(got.String()+"?", "?"); strings.TrimSuffix("?"+query, "?") != tt.want {
					t.Errorf("%s?%s in %s: %s", tt.address, tt.query, place, got)
				}
			}
		}
	}
}
