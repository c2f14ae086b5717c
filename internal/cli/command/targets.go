package command

import (
	"context"
	"maps"
	"strings"

	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/proc"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/workspace"
)

// RegisterTarget adds --to and the TLS flags to a command, under a heading of its
// help.
func RegisterTarget(cmd *cobra.Command, f *target.Flags, heading string) {
	cmd.Flags().StringVarP(&f.To, "to", "t", "", "send to `TARGET`: the name of a service, tcp://host:port, amqp://host/queue, redis://host, or nats://host")
	CompleteTo(cmd)
	RegisterTLS(cmd, f, heading)
	GroupFlags(cmd, heading, "to")
}

// RegisterBuffer adds the flag that limits replies, for commands that read them.
func RegisterBuffer(cmd *cobra.Command, f *target.Flags, heading string) {
	cmd.Flags().IntVar(&f.MaxBuffer, "max-buffer-size", 0, "TCP: accept a reply of up to `N` characters (default 134217728)")
	GroupFlags(cmd, heading, "max-buffer-size")
}

// RegisterTLS adds only the TLS flags, for commands that take the target as an
// argument.
func RegisterTLS(cmd *cobra.Command, f *target.Flags, heading string) {
	f.Running = runningServices
	cmd.Flags().StringVar(&f.CA, "ca", "", "CA certificates (PEM `FILE`) to trust instead of the system's")
	cmd.Flags().StringVar(&f.Cert, "cert", "", "client certificate (PEM `FILE`)")
	cmd.Flags().StringVar(&f.Key, "key", "", "private key for --cert (PEM `FILE`)")
	cmd.Flags().BoolVar(&f.Insecure, "insecure", false, "do not verify the server's certificate")
	GroupFlags(cmd, heading, "ca", "cert", "key", "insecure")
}

// CompleteTo adds shell completion for the flag --to, which the command must have.
func CompleteTo(cmd *cobra.Command) {
	if err := cmd.RegisterFlagCompletionFunc("to", CompleteTarget); err != nil {
		panic(err) // the command has no such flag
	}
}

// runningServices asks every running `msctl run` of a workspace for its brokers, and for
// the addresses of the services that it runs.
func runningServices(ctx context.Context, w *workspace.Workspace) target.Run {
	found := target.Run{Brokers: map[string]string{}, Services: map[string]string{}}
	runs, err := proc.Runs(ctx, w, "")
	if err != nil {
		return found
	}
	for _, c := range runs {
		if c.Suspended {
			continue // it does not answer
		}
		status, err := c.Status(ctx)
		if err != nil {
			continue // it has just ended
		}
		maps.Copy(found.Brokers, status.Brokers)
		for _, one := range status.Services {
			if s := w.Service(one.Name); s != nil && s.Port != 0 && !one.RunsBroker {
				_, found.Services[one.Name], _ = strings.Cut(one.URL, "://")
			}
		}
	}
	return found
}
