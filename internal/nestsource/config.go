package nestsource

import (
	"slices"
	"strings"

	"github.com/msctl/msctl/internal/nestsource/evaluate"
)

// configuration is what ConfigService.get returns.
type configuration struct {
	env func(name string) (value string, ok bool)
	// values are those of registerAs and of the functions in ConfigModule.forRoot({load}),
	// the last ones first; nil before they have been read.
	values []*evaluate.Object
	read   bool
}

// called returns the value of a call whose function is not in the sources: reading a
// configuration, getting a provider of an application, or validating the environment.
func (p *Project) called(_ *evaluate.Evaluator, callee string, c evaluate.Call) evaluate.Value {
	object, method, ok := cutLast(callee, ".")
	if !ok || c.Scope == nil {
		return nil
	}
	method, _, _ = strings.Cut(method, "<")
	switch method {
	case "get", "getOrThrow", "resolve":
		if provider := p.provided(c.Arg(0), object); provider != nil {
			return provider
		}
		if key, ok := c.Arg(0).(string); ok && method != "resolve" && isConfig(c.This, object) {
			return p.configured(key, c)
		}
	case "validate", "parse", "safeParse", "validateSync", "cast":
		return validated(method, c.Arg(0))
	}
	return nil
}

// provided returns the object for app.get(Class), or nil. A token may also be the name of
// the class.
func (p *Project) provided(token evaluate.Value, object string) evaluate.Value {
	switch token := token.(type) {
	case *evaluate.Class:
		return p.eval.Provide(token)
	case *evaluate.External:
		if token.Module == "@nestjs/config" {
			return token
		}
	case string:
		if strings.HasSuffix(token, "Service") && !isConfig(evaluate.Undefined{}, object) {
			if c := p.classNamed(token); c != nil {
				return p.eval.Provide(c)
			}
		}
	}
	return nil
}

// classNamed returns the class with a name that a file of the project declares, or nil.
func (p *Project) classNamed(name string) *evaluate.Class {
	for _, path := range p.Files {
		if f := p.parsed[path]; f != nil && strings.Contains(f.Source, "class "+name+" ") {
			if c, ok := p.eval.Export(p.load(path), name).(*evaluate.Class); ok {
				return c
			}
		}
	}
	return nil
}

func isConfig(this evaluate.Value, callee string) bool {
	if x, ok := this.(*evaluate.External); ok && x.Module == "@nestjs/config" {
		return true
	}
	return strings.Contains(strings.ToLower(callee), "config")
}

// validated returns the result of checking the environment with joi, zod, or yup: the
// environment itself.
func validated(method string, v evaluate.Value) evaluate.Value {
	if !isEnvironment(v) {
		return nil
	}
	out := evaluate.NewObject()
	switch method {
	case "validate":
		out.Set("value", v)
	case "safeParse":
		out.Set("success", true)
		out.Set("data", v)
	default:
		return v
	}
	return out
}

// configured returns the value of config.get('KEY', default).
func (p *Project) configured(key string, c evaluate.Call) evaluate.Value {
	f := c.Scope.Module.File
	u := &evaluate.Unknown{
		Text: f.Text(c.Node), File: c.Scope.Module.Path, Line: f.Line(c.Node.Range().Pos), Env: key, Reason: "it depends on the configuration",
	}
	if d, ok := evaluate.Defaults(c.Arg(1)); ok && d != (evaluate.Undefined{}) {
		if _, isObject := d.(*evaluate.Object); !isObject { // {infer: true} are options
			u.Default = d
		}
	}
	if p.config.env != nil {
		if value, ok := p.config.env(key); ok {
			u.Default = value
			return u
		}
	}
	if v := p.configValue(key); v != nil {
		return v
	}
	return u
}

// configValue returns the value of a dotted key in what registerAs and the functions of
// ConfigModule.forRoot return, or nil.
func (p *Project) configValue(key string) evaluate.Value {
	if !p.config.read {
		p.config.read = true // before, because the values may be read from the configuration
		p.readConfig()
	}
	for _, values := range slices.Backward(p.config.values) {
		var v evaluate.Value = values
		for part := range strings.SplitSeq(key, ".") {
			o, ok := v.(*evaluate.Object)
			if !ok {
				v = nil
				break
			}
			v = p.eval.Member(o, part)
		}
		switch v.(type) {
		case nil, evaluate.Undefined:
			continue
		}
		return v
	}
	return nil
}

// readConfig reads what the sources add to the configuration. The files of the project
// itself come last, so that they take precedence over those of libraries.
func (p *Project) readConfig() {
	whole := *p
	whole.Files = nil
	for path := range p.parsed {
		if !slices.Contains(p.Files, path) {
			whole.Files = append(whole.Files, path)
		}
	}
	slices.Sort(whole.Files)
	whole.Files = append(whole.Files, p.Files...)
	for _, c := range whole.Calls("registerAs", "ConfigModule.forRoot") {
		if lastName(c.Callee) == "registerAs" {
			name, ok := c.Arg(0).Text()
			if !ok || len(c.Args) < 2 {
				continue
			}
			values := evaluate.NewObject()
			values.Set(name, p.eval.Result(c.Args[1].v))
			p.config.values = append(p.config.values, values)
			continue
		}
		for _, load := range c.Arg(0).Member("load").Items() {
			if _, isFunction := load.v.(*evaluate.Function); !isFunction {
				continue
			}
			if values, ok := p.eval.Result(load.v).(*evaluate.Object); ok {
				p.config.values = append(p.config.values, values)
			}
		}
	}
}
