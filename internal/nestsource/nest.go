package nestsource

import (
	"slices"
	"strings"
	"unicode"

	"github.com/msctl/msctl/internal/nestsource/evaluate"
	"github.com/msctl/msctl/internal/nestsource/typescript"
)

// nest provides what NestJS's packages export, and records what its decorators store.
type nest struct {
	exports map[string]evaluate.Value // "module name"
	// methods is the metadata of functions by their identity.
	methods map[any]*metadata
	// seen are the calls of MessagePattern and EventPattern that were evaluated.
	seen map[typescript.Node]bool
	// touched counts the calls of MessagePattern and EventPattern, and stored what they store.
	touched, stored int
	// controllers are the classes that modules name, and open is set if a module has others
	// that are not known.
	controllers map[*evaluate.Class]bool
	imported    map[*evaluate.Class]bool
	modules     int
	open        bool
	// created are the clients that factories create.
	created []createdClient
	// rules collects the decorators of class-validator that are applied.
	rules []string
}

// metadata is what @MessagePattern and @EventPattern store for a function.
type metadata struct {
	event     bool
	patterns  evaluate.Value // an array, unless it is unknown
	transport evaluate.Value
	extras    *evaluate.Object
}

const (
	microservices = "@nestjs/microservices"
	common        = "@nestjs/common"
)

func newNest() *nest {
	n := &nest{methods: map[any]*metadata{}, seen: map[typescript.Node]bool{}, controllers: map[*evaluate.Class]bool{}, imported: map[*evaluate.Class]bool{}}
	transport := evaluate.NewObject()
	for i, name := range transports {
		transport.Set(name, float64(i))
	}
	n.exports = map[string]evaluate.Value{
		microservices + " MessagePattern":              n.pattern(false),
		microservices + " EventPattern":                n.pattern(true),
		microservices + " GrpcMethod":                  n.grpc("no_stream"),
		microservices + " GrpcStreamMethod":            n.grpc("rx_stream"),
		microservices + " GrpcStreamCall":              n.grpc("pt_stream"),
		microservices + " Transport":                   transport,
		common + " applyDecorators":                    &evaluate.Native{Name: "applyDecorators", Call: applyDecorators},
		common + " forwardRef":                         &evaluate.Native{Name: "forwardRef", Call: forwardRef},
		microservices + " ClientProxyFactory.create":   &evaluate.Native{Name: "create", Call: n.createClient},
		microservices + " ClientsModule.register":      &evaluate.Native{Name: "register", Call: registerClients},
		microservices + " ClientsModule.registerAsync": &evaluate.Native{Name: "registerAsync", Call: registerClients},
		common + " Module":                             &evaluate.Native{Name: "Module", Call: n.module},
	}
	return n
}

// transports are NestJS's transports by their number.
var transports = []string{"TCP", "REDIS", "NATS", "MQTT", "GRPC", "RMQ", "KAFKA"}

// frameworks are packages whose exports are never patterns, so that their files need not be
// read. A name that ends with / stands for all packages below it.
var frameworks = []string{
	"@nestjs/", "rxjs", "rxjs/", "class-validator", "class-transformer", "reflect-metadata", "typeorm", "mongoose", "@prisma/", "node:",
	"fs", "path", "os", "crypto", "util", "events", "http", "https", "stream", "url", "child_process", "express", "fastify", "lodash", "zod", "joi",
}

func isFramework(module string) bool {
	return slices.ContainsFunc(frameworks, func(name string) bool {
		return module == name || strings.HasSuffix(name, "/") && strings.HasPrefix(module, name)
	})
}

// external returns what a package exports, or nil if its files decide.
func (n *nest) external(module, name string) evaluate.Value {
	if v, ok := n.exports[module+" "+name]; ok {
		return v
	}
	if module == "class-validator" && name != "*" {
		return n.rule(name)
	}
	if isFramework(module) {
		return &evaluate.External{Module: module, Name: name}
	}
	return nil
}

// pattern returns MessagePattern or EventPattern.
func (n *nest) pattern(event bool) *evaluate.Native {
	name := "MessagePattern"
	if event {
		name = "EventPattern"
	}
	return &evaluate.Native{Name: name, Call: func(_ *evaluate.Evaluator, c evaluate.Call) evaluate.Value {
		n.seen[c.Node] = true
		n.touched++
		transport, extras := transportAndExtras(c)
		return n.decorator(name, func(*evaluate.Call) *metadata {
			return &metadata{event: event, patterns: concat(c.Arg(0)), transport: transport, extras: extras}
		})
	}}
}

// decorator returns a decorator that stores metadata for the function in the descriptor.
func (n *nest) decorator(name string, store func(*evaluate.Call) *metadata) *evaluate.Native {
	return &evaluate.Native{Name: name, Call: func(_ *evaluate.Evaluator, c evaluate.Call) evaluate.Value {
		descriptor, ok := c.Arg(2).(*evaluate.Object)
		if !ok {
			return evaluate.Undefined{}
		}
		value, _ := descriptor.Get("value")
		if f, ok := value.(*evaluate.Function); ok {
			m := store(&c)
			if old := n.methods[f.Identity()]; old != nil {
				m.extras = mergeExtras(old.extras, m.extras)
			}
			n.methods[f.Identity()] = m
			n.stored++
		}
		return descriptor
	}}
}

// concat is [].concat(v), which is how NestJS stores patterns.
func concat(v evaluate.Value) evaluate.Value {
	switch v := v.(type) {
	case *evaluate.Array, *evaluate.Unknown, *evaluate.External:
		return v
	default:
		return &evaluate.Array{Items: []evaluate.Value{v}}
	}
}

// transportAndExtras tells the second and the third argument of a decorator apart, as
// NestJS does.
func transportAndExtras(c evaluate.Call) (evaluate.Value, *evaluate.Object) {
	second, third := c.Arg(1), c.Arg(2)
	if o, ok := second.(*evaluate.Object); ok && third == (evaluate.Undefined{}) {
		return evaluate.Undefined{}, o
	}
	extras, _ := third.(*evaluate.Object)
	return second, extras
}

func mergeExtras(a, b *evaluate.Object) *evaluate.Object {
	out := evaluate.NewObject()
	for _, o := range []*evaluate.Object{a, b} {
		if o == nil {
			continue
		}
		for _, k := range o.Keys() {
			v, _ := o.Get(k)
			out.Set(k, v)
		}
	}
	return out
}

// grpc returns GrpcMethod and its variants: message patterns of the transport gRPC.
func (n *nest) grpc(streaming string) *evaluate.Native {
	return &evaluate.Native{Name: "GrpcMethod", Call: func(_ *evaluate.Evaluator, c evaluate.Call) evaluate.Value {
		n.seen[c.Node] = true
		n.touched++
		return n.decorator("GrpcMethod", func(target *evaluate.Call) *metadata {
			service, method := c.Arg(0), c.Arg(1)
			if service == (evaluate.Undefined{}) {
				service = ""
				if o, ok := target.Arg(0).(*evaluate.Object); ok && o.Class != nil {
					service = o.Class.Name()
				}
			}
			if key, ok := target.Arg(1).(string); ok && method == (evaluate.Undefined{}) && key != "" {
				first := []rune(key)
				first[0] = unicode.ToUpper(first[0])
				method = string(first)
			}
			o := evaluate.NewObject()
			o.Set("service", service)
			o.Set("rpc", method)
			o.Set("streaming", streaming)
			return &metadata{patterns: concat(o), transport: float64(slices.Index(transports, "GRPC"))}
		})
	}}
}

// applyDecorators returns a decorator that applies others in their order.
func applyDecorators(_ *evaluate.Evaluator, decorators evaluate.Call) evaluate.Value {
	return &evaluate.Native{Name: "applyDecorators", Call: func(e *evaluate.Evaluator, c evaluate.Call) evaluate.Value {
		for _, d := range decorators.Args {
			e.Call(d, evaluate.Call{Args: c.Args, Scope: c.Scope, Node: c.Node})
		}
		return evaluate.Undefined{}
	}}
}

// module records the controllers of a module and of the dynamic modules that it imports.
func (n *nest) module(e *evaluate.Evaluator, c evaluate.Call) evaluate.Value {
	n.modules++
	n.record(e, c.Arg(0), 0)
	return &evaluate.Native{Name: "Module", Call: func(*evaluate.Evaluator, evaluate.Call) evaluate.Value { return evaluate.Undefined{} }}
}

func (n *nest) record(e *evaluate.Evaluator, v evaluate.Value, depth int) {
	if c, ok := v.(*evaluate.Class); ok {
		n.importModule(e, c)
		return
	}
	o, ok := v.(*evaluate.Object)
	if !ok || depth > 10 {
		return
	}
	if list, given := o.Get("controllers"); given {
		n.addControllers(list)
	}
	if module, ok := o.Get("module"); ok { // a dynamic module
		n.record(e, module, depth+1)
	}
	imports, _ := o.Get("imports")
	if list, ok := imports.(*evaluate.Array); ok {
		for _, item := range list.Items {
			n.record(e, item, depth+1)
		}
	}
}

func (n *nest) addControllers(v evaluate.Value) {
	list, ok := v.(*evaluate.Array)
	if !ok {
		n.open = true
		return
	}
	for _, item := range list.Items {
		if c, ok := item.(*evaluate.Class); ok {
			n.controllers[c] = true
		} else {
			n.open = true
		}
	}
}

// importModule evaluates the decorators of a module that another one imports. It may be in
// another folder.
func (n *nest) importModule(e *evaluate.Evaluator, c *evaluate.Class) {
	if n.imported[c] {
		return
	}
	n.imported[c] = true
	for _, d := range c.Node.Decorators {
		e.Eval(d, c.Scope)
	}
}

// cutLast cuts a string at the last separator.
func cutLast(s, separator string) (before, after string, ok bool) {
	i := strings.LastIndex(s, separator)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(separator):], true
}
