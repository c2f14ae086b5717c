package nestinit

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/msctl/msctl/internal/workspace"
)

// variable is a variable of a file such as .env.
type variable struct {
	value string
	file  string // relative, with slashes
	line  int
	// example is set for a file that only shows how to write the real one.
	example bool
	// schema is set for the default of a schema in the sources.
	schema bool
}

// environment is the variables that an application reads, as far as files define them.
type environment map[string]variable

// lookup returns a value. An empty value is only a place for one.
func (e environment) lookup(name string) (string, bool) {
	v, ok := e[name]
	return v.value, ok && v.value != ""
}

// envFiles are the names of files with variables, the ones that take precedence first.
var envFiles = []string{".env.local", ".env.development.local", ".env.development", ".env.dev", ".env"}

// exampleFiles show what a file with variables contains.
var exampleFiles = []string{".env.example", ".env.sample", ".env.template", ".env.dist", "env.example", "example.env", ".example.env", ".env.defaults"}

// environment returns the variables of an application: of the files that it names, of those
// in its folder, and of those in the folder in which it is started.
func (l *layout) environment(a *application, named []string) environment {
	env := environment{}
	for _, file := range named {
		l.readEnv(env, path.Join(a.start.dir, file), false)
		l.readEnv(env, path.Join(a.dir, file), false)
	}
	for _, dir := range slices.Compact([]string{a.dir, a.start.dir}) {
		for _, name := range envFiles {
			l.readEnv(env, path.Join(dir, name), false)
		}
	}
	for _, dir := range parents(a.dir) {
		for _, name := range composeFiles {
			l.readCompose(env, path.Join(dir, name), a)
		}
		for _, name := range exampleFiles {
			l.readEnv(env, path.Join(dir, name), true)
		}
	}
	return env
}

// readEnv adds the variables of a file that are not known yet.
func (l *layout) readEnv(env environment, file string, example bool) {
	text, ok := l.readConfig(file)
	if !ok {
		return
	}
	found := environment{}
	number := 0
	for line := range strings.Lines(strings.ReplaceAll(string(text), "\r\n", "\n")) {
		number++
		name, value, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		if name = strings.TrimSpace(name); !ok || name == "" || strings.HasPrefix(name, "#") {
			continue
		}
		found[name] = variable{value: expand(unquote(strings.TrimSpace(value)), found, env), file: file, line: number, example: example}
	}
	for name, v := range found {
		if old, known := env[name]; !known || old.value == "" {
			env[name] = v
		}
	}
}

// unquote removes quotes or, without quotes, a comment.
func unquote(value string) string {
	if len(value) > 0 && strings.ContainsRune("\"'`", rune(value[0])) {
		if end := strings.IndexByte(value[1:], value[0]); end >= 0 {
			return value[1 : end+1]
		}
	}
	if i := strings.Index(value, " #"); i >= 0 {
		value = value[:i]
	}
	return strings.TrimSpace(value)
}

// bare matches a reference without braces.
var bare = regexp.MustCompile(`\$([A-Za-z_]\w*)`)

// expand replaces $NAME, ${NAME}, and ${NAME:-default} with variables that are defined before.
func expand(value string, lists ...environment) string {
	return workspace.Expand(bare.ReplaceAllString(value, "$${$1}"), func(name string) (string, bool) {
		for _, list := range lists {
			if v, ok := list[name]; ok {
				return v.value, true
			}
		}
		return "", false
	})
}
