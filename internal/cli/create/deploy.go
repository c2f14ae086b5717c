package create

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/cli/command"
	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/scaffold"
	"github.com/msctl/msctl/internal/term"
)

func newNewDeployCommand(s *term.IO, version string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "deploy PLATFORM",
		Short: "Add manifests for a platform to the workspace",
		Long: `Add manifests for a platform to the workspace. The only platform is kubernetes.

The Dockerfile, compose.yaml, and the workflows of a workspace are written by ` + "`msctl new`.",
		Args: command.ArgCount(1, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			return exit.WithHint(exit.Usagef("unknown platform %q: the platforms are kubernetes", args[0]), "for example, `msctl new deploy kubernetes`")
		},
	}
	cmd.AddCommand(newNewKubernetesCommand(s, version))
	return cmd
}

func newNewKubernetesCommand(s *term.IO, version string) *cobra.Command {
	dryRun := false
	cmd := &cobra.Command{
		Use:   "kubernetes",
		Short: "Add manifests for Kubernetes (kustomize)",
		Long: `Write manifests for every Go program in msctl.yaml to deploy/kubernetes: a base, and
overlays for development and production, which ` + "`kubectl apply -k`" + ` deploys.

What a program needs follows from msctl.yaml and its code: the addresses of the services
that it calls, the Secrets with the addresses of brokers and databases, and a volume for
SQLite. A program that stores data in a file or in memory has one replica.

msctl maintains the base: run the command again after a change of msctl.yaml. Files that
you have changed are kept. Services with a ` + "`command`" + ` are not covered, except for the
web client of ` + "`msctl new web`" + `.`,
		Example: `  msctl new deploy kubernetes
  msctl new deploy kubernetes --dry-run
  kubectl apply -k deploy/kubernetes/overlays/dev`,
		Args: command.ArgCount(0, 0),
		RunE: func(*cobra.Command, []string) error { return runNewKubernetes(s, version, dryRun) },
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "print the files that would be written, without writing them")
	return cmd
}

func runNewKubernetes(s *term.IO, version string, dryRun bool) error {
	dir, err := openWorkspace(version)
	if err != nil {
		return err
	}
	result, err := dir.NewKubernetes()
	if err != nil {
		return exit.Usagef("%w", err)
	}
	steps, err := scaffold.Plan(dir.Root, result.Files)
	if err != nil {
		return err
	}
	if dryRun {
		return printPlan(s, dir.Root, steps)
	}
	again := dir.Deployed()
	steps, kept := scaffold.Kept(steps)
	// What is left has not been changed since msctl wrote it.
	if err := scaffold.Write(dir.Root, steps, true); err != nil {
		return err
	}
	reportSteps(s, dir.Root, steps)
	printKept(s, kept)
	printManual(s, result)
	if !again {
		p := s.ErrPalette()
		s.Notef("\nNext: set the registry, the host, and the issuer of tokens in deploy/kubernetes/overlays/production/kustomization.yaml,\nwhich also lists the Secrets to create, and then\n  %s",
			p.Accent("kubectl apply -k deploy/kubernetes/overlays/production"))
	}
	return nil
}

// printKept names the files that the user has changed. Those of the base are not up to date
// until the changes are in an overlay.
func printKept(s *term.IO, kept []string) {
	p := s.ErrPalette()
	for _, name := range kept {
		if strings.Contains(name, "/overlays/") {
			s.Notef("%s %s (it is yours)", p.Dim("kept    "), name)
			continue
		}
		s.Notef("%s %s has been changed, so it was kept as it is: move the changes to an overlay, remove the file, and run `msctl new deploy kubernetes` again",
			p.Warn("manual step:"), name)
	}
}
