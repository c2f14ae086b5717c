package workspace

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// DotenvFiles are the files with variables for the programs of a workspace, next to
// msctl.yaml. The values of later files take precedence. The last one is for the secrets
// and preferences of one developer, and does not belong in version control.
func DotenvFiles() []string { return []string{".env", ".env.local"} }

// Local is what the machine of a developer adds to msctl.yaml.
type Local struct {
	// Vars are the variables of [DotenvFiles].
	Vars map[string]string
	// Unset are the references in `env` and [DotenvFiles] to variables that are not set, or that
	// are not closed.
	Unset []*Error
	// Ignored are the lines of [DotenvFiles] that are no variables, and texts that look like
	// references but are none.
	Ignored []*Error
	// Extends are the entries of `env` that refer to the variable that they set, such as
	// PATH: ./bin:${PATH}: NAME, or SERVICE NAME. They take precedence over the environment.
	Extends map[string]bool
}

// LookupEnv returns a variable of the environment of msctl or, if it is not set there, of
// [DotenvFiles].
func (l *Local) LookupEnv(name string) (string, bool) {
	if value, ok := os.LookupEnv(name); ok {
		return value, true
	}
	value, ok := l.Vars[name]
	return value, ok
}

// Environ returns the variables of [DotenvFiles] as os.Environ does, sorted.
func (l *Local) Environ() []string {
	env := make([]string, 0, len(l.Vars))
	for _, name := range slices.Sorted(maps.Keys(l.Vars)) {
		env = append(env, name+"="+l.Vars[name])
	}
	return env
}

// CurrentEnviron returns the variables of [DotenvFiles] of the workspace of the current
// folder, whether its msctl.yaml is valid or not.
func CurrentEnviron() []string {
	dir, err := os.Getwd()
	if err != nil {
		return nil
	}
	path, err := Find(dir)
	if err != nil {
		return nil
	}
	var l Local
	if l.readDotenv(filepath.Dir(path)) != nil {
		return nil
	}
	return l.Environ()
}

// Getenv returns a variable as programs of the workspace get it, except for `env`; "" if
// it is not set.
func (w *Workspace) Getenv(name string) string {
	value, _ := w.Local.LookupEnv(name)
	return value
}

// CheckVariables returns an error that joins an *Error for each reference in `env`,
// .env.local, and .env to a variable that is not set, or that is not closed.
func (w *Workspace) CheckVariables() error {
	errs := make([]error, len(w.Local.Unset))
	for i, e := range w.Local.Unset {
		errs[i] = e
	}
	return errors.Join(errs...)
}

// readDotenv reads the variables of the files in a folder. A file that does not exist
// has none.
func (l *Local) readDotenv(dir string) error {
	for _, name := range DotenvFiles() {
		path := filepath.Join(dir, name)
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("load %s: %w", name, err)
		}
		l.parseDotenv(displayPath(path), text)
	}
	return nil
}

// parseDotenv adds the variables of a file: lines of the form NAME=VALUE, with comments
// that start with #. A value in single quotes is literal; one in double quotes may contain
// escapes and line breaks. Except in single quotes, references are replaced.
func (l *Local) parseDotenv(file string, text []byte) {
	if l.Vars == nil {
		l.Vars = map[string]string{}
	}
	text = bytes.TrimPrefix(text, []byte(byteOrderMark))
	lines := strings.Split(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		number := i + 1
		line := strings.TrimSpace(lines[i])
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		problem := func(format string, args ...any) *Error {
			return &Error{File: file, Line: number, Column: 1, Message: fmt.Sprintf(format, args...)}
		}
		name, rest, found := strings.Cut(strings.TrimPrefix(line, "export "), "=")
		name, rest = strings.TrimSpace(name), strings.TrimSpace(rest)
		if !found || !envPattern.MatchString(name) {
			l.Ignored = append(l.Ignored, problem("ignored: must be NAME=VALUE"))
			continue
		}
		for quoted(rest) && closing(rest) < 0 && i+1 < len(lines) { // a value of several lines
			i++
			rest += "\n" + lines[i]
		}
		value, literal := unquote(rest)
		if !literal {
			r := references{lookup: l.LookupEnv}
			value = r.expand(value)
			for _, missing := range r.unset {
				l.Unset = append(l.Unset, problem("%s", notSet(missing)))
			}
			if r.unclosed != "" {
				l.Unset = append(l.Unset, problem("%s", notClosed(r.unclosed)))
			}
			for _, text := range r.malformed {
				l.Ignored = append(l.Ignored, problem("%s", malformed(text)))
			}
		}
		l.Vars[name] = value
	}
}

func quoted(text string) bool {
	return strings.HasPrefix(text, `"`) || strings.HasPrefix(text, "'")
}

// closing returns the index of the quote that closes the one at the start of a text, or -1.
func closing(text string) int {
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] == '\\' && text[0] == '"':
			i++
		case text[i] == text[0]:
			return i
		}
	}
	return -1
}

// unquote returns the value of the text after the equals sign, and whether references in
// it stay as they are.
func unquote(text string) (value string, literal bool) {
	if !quoted(text) || closing(text) < 0 {
		if at := strings.Index(" "+text, " #"); at >= 0 {
			text = text[:max(at-1, 0)]
		}
		return strings.TrimSpace(text), false
	}
	inner := text[1:closing(text)]
	if text[0] == '\'' {
		return inner, true
	}
	return strings.NewReplacer(`\n`, "\n", `\r`, "\r", `\t`, "\t", `\"`, `"`, `\\`, `\`, `\${`, `$${`, `\$`, `$`).Replace(inner), false
}
