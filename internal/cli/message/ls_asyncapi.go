package message

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/msctl/msctl/internal/asyncapi"
	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/nestsource"
	"github.com/msctl/msctl/internal/shorthand"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/term/visible"
	"github.com/msctl/msctl/internal/workspace"
	"github.com/msctl/msctl/runtime/micro"
)

// printAsyncAPI prints the AsyncAPI document of services. It returns an error if one of them did
// not answer: the document is not complete then.
func (o *lsOptions) printAsyncAPI(ctx context.Context, s *term.IO, answers []target.Answer) error {
	var services []asyncapi.Service
	var firstErr error
	for _, a := range answers {
		if a.Err != nil {
			err := o.notDescribed(ctx, a)
			s.Notef("%s", s.ErrPalette().Bad(visible.Line(a.Target.Name()+": "+exit.Text(s.Secrets(), err))))
			firstErr = cmp.Or(firstErr, err)
			continue
		}
		noteComputed(s, a)
		services = append(services, asyncService(a))
	}
	if len(services) == 0 {
		return exit.Said(firstErr)
	}
	title, version := services[0].Name, services[0].Version
	if w, err := workspace.Current(); err == nil && w != nil && o.to == "" {
		title, version = w.Name, ""
	} else if len(services) > 1 {
		title, version = answers[0].Target.Where(), ""
	}
	if err := o.writeAsyncAPI(s, title, version, services); err != nil {
		return err
	}
	if firstErr != nil {
		return exit.Said(fmt.Errorf("the document is not complete: %w", firstErr))
	}
	return nil
}

// printSourceAsyncAPI prints the AsyncAPI document of NestJS sources, whose servers are not known.
func (o *lsOptions) printSourceAsyncAPI(s *term.IO, handlers []nestsource.Handler) error {
	dir, err := filepath.Abs(o.source)
	if err != nil {
		return err
	}
	service := asyncapi.Service{Name: filepath.Base(dir)}
	for _, h := range handlers {
		info, ok := target.SourceHandler(h)
		if !ok {
			continue // the summary counts it
		}
		service.Handlers = append(service.Handlers, asyncapi.Handler{HandlerInfo: info, Title: shorthand.FormatPattern(info.Pattern), Transport: h.Transport})
	}
	return o.writeAsyncAPI(s, service.Name, "", []asyncapi.Service{service})
}

func (o *lsOptions) writeAsyncAPI(s *term.IO, title, version string, services []asyncapi.Service) error {
	text, err := asyncapi.Document(title, version, services)
	if err != nil {
		return err
	}
	if o.output == "json" {
		return s.PrintJSON(term.JSONPretty, text)
	}
	if text, err = asyncapi.YAML(text); err != nil {
		return err
	}
	_, err = s.Out.Write(text)
	return err
}

// asyncService describes a service that has answered.
func asyncService(a target.Answer) asyncapi.Service {
	t := a.Target
	service := asyncapi.Service{Name: cmp.Or(t.Service, a.Description.Name, "service"), Version: a.Description.Version, Servers: asyncServers(t)}
	for _, info := range a.Description.Handlers {
		h := asyncapi.Handler{HandlerInfo: info, Title: shorthand.FormatPattern(info.Pattern)}
		if p, err := micro.ParsePattern(string(info.Pattern)); err == nil {
			kind, name, _ := strings.Cut(t.Place(p), " ")
			switch kind {
			case "subject", "channel":
				h.Address = name
			case "queue":
				h.Address, h.Queue = name, name
			}
		}
		service.Handlers = append(service.Handlers, h)
	}
	return service
}

// asyncServers returns the addresses of a target, without the login and the options, which may
// contain secrets.
func asyncServers(t target.Target) []asyncapi.Server {
	server := asyncapi.Server{Name: cmp.Or(t.Service, "service"), Protocol: "tcp"}
	switch t.Kind() {
	case target.RabbitMQ, target.Redis, target.NATS:
		server.Name = strings.ToLower(string(t.Kind()))
		server.Protocol, _, _ = strings.Cut(t.Scheme, "+")
		if t.Broker.VHost != "" && t.Broker.VHost != "/" {
			server.Path = "/" + t.Broker.VHost
		}
	}
	var facts []string
	if t.Encrypted() {
		facts = append(facts, "Connections use TLS.")
	}
	if t.Broker != nil && t.Broker.Master != "" {
		facts = append(facts, "These are Sentinels. The name of the master is "+t.Broker.Master+".")
	}
	server.Description = strings.Join(facts, " ")
	var all []asyncapi.Server
	for _, address := range t.Addresses {
		server.Host = address
		all = append(all, server)
	}
	return all
}
