package measure

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/bench"
	"github.com/msctl/msctl/internal/cli/command"
	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/load/compare"
	"github.com/msctl/msctl/internal/load/report"
	"github.com/msctl/msctl/internal/nearest"
	"github.com/msctl/msctl/internal/printcode"
	"github.com/msctl/msctl/internal/term"
)

// reportOptions are the arguments and flags of `msctl bench report`.
type reportOptions struct {
	files       []string
	format      string
	thresholds  []string
	parsed      []report.Threshold
	printPolicy string
	schema      bool
}

// reportFormats are the formats of a report, the default first.
func reportFormats() []string { return []string{"text", "html", "markdown", "csv", "junit", "json"} }

// checkFormat returns the usage error for an unknown format.
func checkFormat(format string) error {
	if slices.Contains(reportFormats(), format) {
		return nil
	}
	err := exit.Usagef("unknown output %q: use %s", format, strings.Join(reportFormats(), ", "))
	if near := nearest.Word(format, reportFormats()); near != "" {
		return exit.WithHint(err, "did you mean %s?", near)
	}
	return err
}

// writeReport writes a report to standard output in a format.
func writeReport(s *term.IO, d *report.Document, format string) error {
	write := map[string]func(io.Writer) error{
		"html": d.HTML, "markdown": d.Markdown, "csv": d.CSV, "junit": d.JUnit, "json": d.Save,
		"text": func(w io.Writer) error { return d.Text(w, s.OutPalette(), outWidth(s)) },
	}[format]
	if err := write(s.Out); err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	return nil
}

func newBenchReportCommand(s *term.IO) *cobra.Command {
	var o reportOptions
	cmd := &cobra.Command{
		Use:   "report FILE…",
		Short: "Print saved runs in any format",
		Long: `Print runs saved with --save: as the text report of the run, or in another format.
Several files of single runs are combined into one report.`,
		Example: `  msctl bench report run.json
  msctl bench report run.json -o html > run.html
  msctl bench report run.json -o markdown --threshold 'p99<50ms'
  msctl bench report --schema > bench.schema.json`,
		Args: command.ArgCount(0, -1),
		RunE: func(_ *cobra.Command, args []string) error {
			o.files = args
			if err := o.check(); err != nil {
				return err
			}
			return runBenchReport(s, o)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.format, "output", "o", "text", "output `FORMAT`: "+strings.Join(reportFormats(), ", "))
	f.StringArrayVar(&o.thresholds, "threshold", nil, "exit with code 99 unless `BOUND` holds: p99<50ms (repeatable)")
	f.StringVar(&o.printPolicy, "print-policy", "", "print the suggested policy as code in `LANGUAGE` instead: "+strings.Join(printcode.PolicyLanguages(), " or "))
	f.BoolVar(&o.schema, "schema", false, "print the JSON Schema of saved runs")
	return cmd
}

func (o *reportOptions) check() error {
	switch {
	case o.schema:
		return nil
	case len(o.files) == 0:
		return exit.Usagef("msctl bench report is missing FILE")
	case checkFormat(o.format) != nil:
		return checkFormat(o.format)
	case o.printPolicy != "" && !slices.Contains(printcode.PolicyLanguages(), o.printPolicy):
		return exit.Usagef("unknown --print-policy %q: use %s", o.printPolicy, strings.Join(printcode.PolicyLanguages(), " or "))
	}
	for _, text := range o.thresholds {
		t, err := bench.ParseThreshold(text)
		if err != nil {
			return err
		}
		o.parsed = append(o.parsed, t)
	}
	return nil
}

func runBenchReport(s *term.IO, o reportOptions) error {
	if o.schema {
		_, err := io.WriteString(s.Out, report.Schema())
		return err
	}
	d, err := loadDocuments(o.files)
	if err != nil {
		return err
	}
	if len(o.parsed) > 0 {
		for i, t := range o.parsed {
			if o.parsed[i], err = bench.ForMessage(t, messagesOf(d)); err != nil {
				return err
			}
		}
		d.Hold(o.parsed)
	}
	unprinted := o.print(s, d)
	return cmp.Or(bench.Crossed(d), bench.Failed(d), unprinted)
}

// messagesOf returns the names of all messages of a document.
func messagesOf(d *report.Document) (names []string) {
	for _, r := range d.Runs {
		for _, m := range r.Messages {
			if !slices.Contains(names, m.Name) {
				names = append(names, m.Name)
			}
		}
	}
	return names
}

func (o *reportOptions) print(s *term.IO, d *report.Document) error {
	if o.printPolicy != "" {
		switch sug := d.Suggestion; {
		case sug == nil:
			return errors.New("no policy is suggested")
		case sug.Policy == nil:
			return fmt.Errorf("no policy is suggested: %s", sug.Why)
		}
		return printcode.WritePolicy(s.Out, o.printPolicy, d.Suggestion.Policy.Settings())
	}
	return writeReport(s, d, o.format)
}

// loadDocuments reads saved runs and combines those of several files.
func loadDocuments(files []string) (*report.Document, error) {
	all := make([]*report.Document, len(files))
	for i, file := range files {
		d, err := bench.LoadDocument(file)
		switch {
		case err != nil:
			return nil, err
		case i > 0 && (d.Kind != report.KindRun || all[0].Kind != report.KindRun):
			return nil, exit.WithHint(exit.Usagef("%s: a sweep or collapse cannot be combined with other files", file), "name a single file")
		}
		for j := range d.Runs {
			if len(files) > 1 && d.Runs[j].Name == "" {
				d.Runs[j].Name = file
			}
		}
		all[i] = d
	}
	return report.Merge(all[0], all[1:]...), nil
}

// compareOptions are the flags of `msctl bench compare`.
type compareOptions struct {
	format string
	run    string
}

func newBenchCompareCommand(s *term.IO) *cobra.Command {
	var o compareOptions
	formats := []string{"text", "markdown", "json"}
	cmd := &cobra.Command{
		Use:   "compare BEFORE AFTER",
		Short: "Compare two saved runs",
		Long: `Compare two runs saved with --save, and report for each metric whether it regressed,
improved, or stayed the same. The 95% confidence intervals come from a bootstrap over
seconds, and over runs if --repeat made several. The exit code is 99 on a regression.`,
		Example: `  msctl bench compare main.json branch.json
  msctl bench compare main.json branch.json -o markdown`,
		Args: command.ArgCount(2, 2),
		RunE: func(_ *cobra.Command, args []string) error {
			if !slices.Contains(formats, o.format) {
				return exit.Usagef("unknown output %q: use %s", o.format, strings.Join(formats, ", "))
			}
			return runBenchCompare(s, args[0], args[1], o)
		},
	}
	cmd.Flags().StringVarP(&o.format, "output", "o", "text", "output `FORMAT`: "+strings.Join(formats, ", "))
	cmd.Flags().StringVar(&o.run, "run", "", "compare the run `NAME` of files with several runs: a policy of --collapse, or timeout=1s of --sweep")
	return cmd
}

func runBenchCompare(s *term.IO, before, after string, o compareOptions) error {
	a, err := bench.LoadDocument(before)
	if err != nil {
		return err
	}
	b, err := bench.LoadDocument(after)
	if err != nil {
		return err
	}
	c, err := compare.Documents(a, b, compare.Options{A: before, B: after, Run: o.run})
	if err != nil {
		return exit.WithCode(err, exit.Usage)
	}
	switch o.format {
	case "markdown":
		err = c.Markdown(s.Out)
	case "json":
		err = c.JSON(s.Out)
	default:
		err = c.Text(s.Out, s.OutPalette(), outWidth(s))
	}
	if err != nil {
		err = fmt.Errorf("print the comparison: %w", err)
	}
	return cmp.Or(regressed(c, before), bench.Failed(b), err)
}

// regressed returns the error for a comparison with a regression, or nil.
func regressed(c *compare.Comparison, before string) error {
	if c.Verdict != compare.Regressed {
		return nil
	}
	var worse []string
	for _, m := range c.Metrics {
		if m.Judgment == compare.Regressed {
			worse = append(worse, m.Metric)
		}
	}
	if c.Recovery != nil && c.Recovery.Judgment == compare.Regressed {
		worse = append(worse, "recovery")
	}
	return exit.WithCode(fmt.Errorf("regressed compared with %s: %s", before, strings.Join(worse, ", ")), exit.Threshold)
}
