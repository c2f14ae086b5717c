package create

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/scaffold"
	"github.com/msctl/msctl/internal/term"
)

// writeFiles writes files below dir, or prints the plan of a dry run. done reports
// whether the files were written.
func writeFiles(s *term.IO, dir string, files []scaffold.File, o writeOptions) (done bool, err error) {
	steps, err := scaffold.Plan(dir, files)
	if err != nil {
		return false, err
	}
	if o.dryRun {
		return false, printPlan(s, dir, steps)
	}
	err = scaffold.Write(dir, steps, o.force)
	var conflict *scaffold.ConflictError
	if errors.As(err, &conflict) {
		conflict.Dir = shortPath(dir)
		return false, conflictError(conflict)
	}
	if err != nil {
		return false, err
	}
	reportSteps(s, dir, steps)
	return true, nil
}

// conflictError adds the hint to a conflict. It never recommends what loses the user's work.
func conflictError(conflict *scaffold.ConflictError) error {
	err := exit.WithCode(conflict, exit.Usage)
	if len(conflict.Yours) > 0 {
		return exit.WithHint(err, "nothing was written: move these files away, or choose another name")
	}
	return exit.WithHint(err, "nothing was written: they have not been changed since msctl wrote them, so --force can replace them")
}

// printPlan prints what a dry run would do, one file per line. The forty files of the
// runtime share one line.
func printPlan(s *term.IO, dir string, steps []scaffold.Step) error {
	p := s.OutPalette()
	var b strings.Builder
	bundled := 0
	for _, step := range steps {
		if isRuntime(step) {
			bundled++
			continue
		}
		word := map[scaffold.State]string{
			scaffold.Create: p.Good("create "), scaffold.Insert: p.Accent("edit   "),
			scaffold.Same: p.Dim("same   "), scaffold.Replace: p.Warn("replace"),
			scaffold.Remove: p.Warn("remove "), scaffold.Conflict: p.Bad("differs"),
		}[step.State]
		fmt.Fprintf(&b, "%s %s\n", word, filepath.Join(shortPath(dir), filepath.FromSlash(step.Path)))
	}
	if bundled > 0 {
		fmt.Fprintf(&b, "%s %s\n", p.Good("create "), runtimeLine(dir, bundled))
	}
	_, err := fmt.Fprint(s.Out, b.String())
	return err
}

// reportSteps prints what was done: the files if they are few, otherwise their number.
// The files of the runtime share one line.
func reportSteps(s *term.IO, dir string, steps []scaffold.Step) {
	p := s.ErrPalette()
	counts, bundled := map[scaffold.State]int{}, 0
	for _, step := range steps {
		counts[step.State]++
		if isRuntime(step) {
			bundled++
		}
	}
	if counts[scaffold.Same] == len(steps) {
		s.Notef("%s is up to date", p.Accent(shortPath(dir)))
		return
	}
	if len(steps)-bundled > 25 {
		s.Notef("%s %s: %d files", p.Good("created"), p.Accent(shortPath(dir)), counts[scaffold.Create]+counts[scaffold.Replace])
		if counts[scaffold.Replace] > 0 {
			s.Notef("        %d of them overwritten", counts[scaffold.Replace])
		}
		return
	}
	words := map[scaffold.State]string{
		scaffold.Create: p.Good("created "), scaffold.Insert: p.Accent("edited  "), scaffold.Replace: p.Warn("replaced"), scaffold.Remove: p.Warn("removed "),
	}
	for _, step := range steps {
		if word := words[step.State]; word != "" && !isRuntime(step) {
			s.Notef("%s %s", word, filepath.Join(shortPath(dir), filepath.FromSlash(step.Path)))
		}
	}
	if bundled > 0 {
		s.Notef("%s %s", words[scaffold.Create], runtimeLine(dir, bundled))
	}
}

// isRuntime reports whether a step creates a file of the runtime.
func isRuntime(step scaffold.Step) bool {
	return strings.HasPrefix(step.Path, "third_party/") && step.State == scaffold.Create
}

func runtimeLine(dir string, files int) string {
	return fmt.Sprintf("%s (%d files: the runtime)", filepath.Join(shortPath(dir), "third_party", "msctl"), files)
}

// shortPath returns dir relative to the current folder, if it is in it.
func shortPath(dir string) string {
	current, err := os.Getwd()
	if err != nil {
		return dir
	}
	relative, err := filepath.Rel(current, dir)
	if err != nil || strings.HasPrefix(relative, "..") {
		return dir
	}
	return relative
}
