package cli

import (
	"context"

	"github.com/msctl/msctl/internal/proc"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/workspace"
	"github.com/spf13/cobra"
)

// registerTarget adds --to and the TLS flags to a command under a heading of its help.
func registerTarget(cmd *cobra.Command, f *target.Flags, heading string) {
	cmd.Flags().StringVarP(&f.To, "to", "t", "", "send to `TARGET`: a service's name, tcp://host:port, amqp://host/queue, redis://host, nats://host")
	completes(cmd)
	registerTLS(cmd, f, heading)
	groupFlags(cmd, heading, "to")
}

// completes has shells complete the flag --to.
func completes(cmd *cobra.Command) {
	if err := cmd.RegisterFlagCompletionFunc("to", completeTarget); err != nil {
		panic(err) // the command has no such flag
	}
}

// registerTLS adds only the TLS flags, for commands that take the target as an
// argument.
func registerTLS(cmd *cobra.Command, f *target.Flags, heading string) {
	f.Running = runningBrokers
	cmd.Flags().StringVar(&f.CA, "ca", "", "TLS: trust the certificates in `FILE` (PEM) instead of the system's")
	cmd.Flags().StringVar(&f.Cert, "cert", "", "TLS: show the certificate in `FILE` (PEM) to the service")
	cmd.Flags().StringVar(&f.Key, "key", "", "TLS: its private key is in `FILE` (PEM)")
	cmd.Flags().BoolVar(&f.Insecure, "insecure", false, "TLS: trust any certificate")
	groupFlags(cmd, heading, "ca", "cert", "key", "insecure")
}

// runningBrokers asks the run of a workspace for its brokers. Nothing is known of
// them where there is no run.
func runningBrokers(ctx context.Context, w *workspace.Workspace) map[string]string {
	runs, err := proc.Runs(ctx, w, "")
	if err != nil || len(runs) == 0 {
		return nil
	}
	status, err := runs[0].Status(ctx)
	if err != nil {
		return nil
	}
	return status.Brokers
}
