package printcode

import (
	"fmt"
	"go/format"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/policy"
)

const runtimePath = "github.com/msctl/msctl/runtime/"

// goProgram is a Go program under construction.
type goProgram struct {
	imports map[string]bool
	body    strings.Builder
	after   string // the functions after main
}

func (g *goProgram) printf(format string, args ...any) { fmt.Fprintf(&g.body, format, args...) }

// goCode returns a Go program on the runtime.
func goCode(c Call) (string, error) {
	g := &goProgram{imports: map[string]bool{}}
	g.use("context", "encoding/json", "log", "time", runtimePath+"micro")
	longest := policy.New(policy.WithTimeout(c.Policy.Timeout), policy.WithRetries(c.Policy.Retries), policy.WithBackoff(c.Policy.Backoff)).Longest()
	g.printf("ctx, cancel := context.WithTimeout(context.Background(), %s)\ndefer cancel()\n", goDuration(longest))
	g.client(c)
	pattern := g.pattern(c.Pattern)
	data := "json.RawMessage(" + g.data(c) + ")"
	if c.Event {
		g.printf("if err := client.Emit(ctx, %s, %s); err != nil {\nlog.Fatal(err)\n}\n", pattern, data)
	} else {
		g.use("fmt")
		g.printf("for value, err := range micro.Stream[json.RawMessage](ctx, client, %s, %s) {\n", pattern, data)
		g.printf("if err != nil {\nlog.Fatal(err)\n}\nfmt.Println(string(value))\n}\n")
	}
	text, err := format.Source([]byte("package main\n\nimport (\n" + g.importLines() + ")\n\nfunc main() {\n" + g.body.String() + "}\n" + g.after))
	if err != nil {
		return "", fmt.Errorf("format the Go code: %w", err)
	}
	return string(text), nil
}

// data returns the expression for the data, which reads credentials from the environment.
func (g *goProgram) data(c Call) string {
	const mark = "\x00" // cannot be part of JSON
	variables := c.variables()
	text := variables.JSON(string(c.Data), func(name string) string { return mark + name + mark })
	if len(variables.Names()) == 0 {
		return goString(text)
	}
	g.use("os")
	g.after = "\n// variable returns the value of an environment variable as JSON.\nfunc variable(name string) string {\n" +
		"text, err := json.Marshal(os.Getenv(name))\nif err != nil {\nlog.Fatal(err)\n}\nreturn string(text)\n}\n"
	var parts []string
	for i, part := range strings.Split(text, mark) { // alternately JSON and names
		if i%2 == 0 {
			parts = append(parts, goString(part))
		} else {
			parts = append(parts, fmt.Sprintf("variable(%q)", part))
		}
	}
	return strings.Join(parts, " + ")
}

func (g *goProgram) use(paths ...string) {
	for _, path := range paths {
		g.imports[path] = true
	}
}

// client writes the lines that create the client.
func (g *goProgram) client(c Call) {
	dial := g.dial(c.Target, c.MaxBuffer)
	options := ""
	if c.Policy.Retries > 0 {
		g.use(runtimePath + "policy")
		options += ",\n" + "policy.New(" + strings.Join(goPolicyOptions(c.Policy), ", ") + ")"
	}
	if c.NoMetadata {
		options += ",\nmicro.WithoutMetadata()"
	}
	sets := ""
	variables := c.variables()
	for key, value := range c.Metadata.All() {
		if name := variables.Pair(key, value); name != "" {
			g.use("os")
			sets += fmt.Sprintf("req.Metadata.Set(%q, os.Getenv(%q))\n", key, name)
			continue
		}
		sets += fmt.Sprintf("req.Metadata.Set(%q, %q)\n", key, value)
	}
	if sets != "" {
		options += ",\nmicro.WithInterceptors(func(next micro.Handler) micro.Handler {\n" +
			"return func(ctx context.Context, req *micro.Request, reply micro.Reply) error {\n" + sets + "return next(ctx, req, reply)\n}\n})"
	}
	if options != "" {
		options += ",\n"
	}
	g.printf("client := micro.NewClient(%s%s)\ndefer client.Close()\n", dial, options)
}

// dial returns the expression that dials a target.
func (g *goProgram) dial(t target.Target, maxBuffer int) string {
	if t.Broker != nil {
		return g.dialBroker(t)
	}
	g.use(runtimePath + "microtcp")
	arguments := strconv.Quote(t.List())
	if t.Encrypted() {
		g.use("crypto/tls")
		arguments += ", microtcp.WithTLS(&tls.Config{})"
	}
	if maxBuffer > 0 {
		arguments += fmt.Sprintf(", microtcp.WithMaxBufferSize(%d)", maxBuffer)
	}
	return "microtcp.Dial(" + arguments + ")"
}

// importLines returns the imports, with the standard library first.
func (g *goProgram) importLines() string {
	var std, other string
	for _, path := range slices.Sorted(maps.Keys(g.imports)) {
		if strings.Contains(path, ".") {
			other += strconv.Quote(path) + "\n"
		} else {
			std += strconv.Quote(path) + "\n"
		}
	}
	return std + "\n" + other
}

// pattern returns the expression for a pattern. If no short constructor fits, it writes
// lines that parse the JSON.
func (g *goProgram) pattern(p micro.Pattern) string {
	if name := p.Route(); micro.Name(name) == p {
		return fmt.Sprintf("micro.Name(%q)", name)
	}
	if name, ok := strings.CutPrefix(p.JSON(), `{"cmd":"`); ok {
		name = strings.TrimSuffix(name, `"}`)
		if micro.Cmd(name) == p {
			return fmt.Sprintf("micro.Cmd(%q)", name)
		}
	}
	g.printf("pattern, err := micro.ParsePattern(%s)\nif err != nil {\nlog.Fatal(err)\n}\n", goString(p.JSON()))
	return "pattern"
}

func goString(text string) string {
	if strconv.CanBackquote(text) {
		return "`" + text + "`"
	}
	return strconv.Quote(text)
}

func goDuration(d time.Duration) string {
	switch {
	case d%time.Second == 0:
		return fmt.Sprintf("%d*time.Second", d/time.Second)
	case d%time.Millisecond == 0:
		return fmt.Sprintf("%d*time.Millisecond", d/time.Millisecond)
	}
	return fmt.Sprintf("%d*time.Nanosecond", d)
}
