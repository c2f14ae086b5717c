package operate

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/cli/command"
	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/tap"
	"github.com/msctl/msctl/internal/tap/observe"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/term"
	reported "github.com/msctl/msctl/runtime/tap"
)

// tapPlace is where the messages of `msctl tap` come from: a broker, a proxy, or, with neither, the run of
// the workspace.
type tapPlace struct {
	broker string
	listen string
	to     target.Flags
	wait   time.Duration
}

// tapSource is what is shown.
type tapSource struct {
	messages func(ctx context.Context, pass func(tap.Message) bool) error
	title    string
	close    func()
	notes    chan string // sentences for the user
	// again returns where to send a message again that its receiver has handled; nil for the receiver itself.
	again func(m tap.Message) string
	flags []string // for sending it there
}

// open opens what the arguments select. It prints what the user should know about it.
func (o *tapOptions) open(ctx context.Context, s *term.IO) (*tapSource, error) {
	p := &o.from
	switch {
	case p.broker != "" && (p.listen != "" || p.to.To != ""):
		return nil, exit.Usagef("TARGET, the address of a broker, cannot be combined with --listen and --to, which put a proxy in front of a service")
	case p.listen != "" && p.to.To == "":
		return nil, exit.WithHint(exit.Usagef("--listen requires --to"), "for example, msctl tap --listen %s --to tcp://localhost:3002", p.listen)
	}
	notes := make(chan string, 64)
	options := observe.Options{Wait: p.wait, Note: func(text string) {
		select {
		case notes <- text:
		default: // nothing shows them
		}
	}}
	var source *tapSource
	var err error
	switch {
	case p.broker != "":
		source, err = p.openBroker(ctx, s, options)
	case p.to.To != "":
		source, err = p.openProxy(ctx, s, options)
	default:
		if err := p.to.NoTLS(); err != nil {
			return nil, err
		}
		return o.openRun(ctx, s)
	}
	if err != nil {
		return nil, err
	}
	source.notes = notes
	source.printNotes(s)
	return source, nil
}

// printNotes prints the notes that there are.
func (t *tapSource) printNotes(s *term.IO) {
	for range len(t.notes) {
		s.Remarkf("%s", <-t.notes)
	}
}

// openRun attaches to the run of the workspace.
func (o *tapOptions) openRun(ctx context.Context, s *term.IO) (*tapSource, error) {
	w, err := command.RequireWorkspace()
	if err != nil {
		return nil, exit.WithHint(err, "or name a broker, as in msctl tap nats://localhost")
	}
	if o.filter.Service != "" && w.Service(o.filter.Service) == nil {
		return nil, exit.Usagef("%s has no service %q: it has %s", w.Name, o.filter.Service, strings.Join(w.Names(), ", "))
	}
	runs, err := runningOf(ctx, s, w)
	if err != nil {
		return nil, err
	}
	return &tapSource{messages: runs[0].Messages, title: w.Name, close: func() {}}, nil
}

// openBroker subscribes to the messages of a broker.
func (p *tapPlace) openBroker(ctx context.Context, s *term.IO, options observe.Options) (*tapSource, error) {
	t, err := p.to.ParseBroker(ctx, p.broker)
	if err != nil {
		return nil, err
	}
	observer, err := observe.Connect(ctx, &p.to, t, options)
	if err != nil {
		return nil, err
	}
	s.Notef("%s observing %s", s.ErrPalette().Good("✓"), observer.Title)
	again := func(m tap.Message) string {
		if t.Kind() != target.RabbitMQ {
			return t.String()
		}
		queue := *t.Broker
		queue.Queue = m.Service
		to := t
		to.Broker = &queue
		return to.String()
	}
	return &tapSource{messages: observer.Messages, title: observer.Title, close: observer.Close, again: again, flags: tlsFlags(&p.to)}, nil
}

// tlsFlags returns the flags that configure TLS.
func tlsFlags(f *target.Flags) (flags []string) {
	for _, flag := range []struct{ name, value string }{{"--ca", f.CA}, {"--cert", f.Cert}, {"--key", f.Key}} {
		if flag.value != "" {
			flags = append(flags, flag.name, flag.value)
		}
	}
	if f.Insecure {
		flags = append(flags, "--insecure")
	}
	return flags
}

// openProxy listens in front of a service.
func (p *tapPlace) openProxy(ctx context.Context, s *term.IO, options observe.Options) (*tapSource, error) {
	if p.listen == "" {
		p.listen = ":4002"
	}
	if err := command.CheckListen(p.listen); err != nil {
		return nil, err
	}
	if host, port, err := net.SplitHostPort(p.listen); err == nil && host == "" {
		p.listen = net.JoinHostPort("127.0.0.1", port) // what passes through it is for this machine, unless the user specifies another host
	}
	t, err := p.to.Parse(ctx, p.to.To)
	switch {
	case err != nil:
		return nil, err
	case t.Broker != nil:
		return nil, exit.WithHint(exit.Usagef("--to %s is a broker, whose messages no proxy is needed for", t), "msctl tap %s", t)
	case t.Kind() != target.TCP:
		return nil, exit.WithHint(exit.Usagef("--to %s: an HTTP server takes no messages", t), "use tcp://host:port")
	}
	if err := p.to.CheckTLS(t); err != nil {
		return nil, err
	}
	var config *tls.Config
	if t.Encrypted() {
		if config, err = p.to.TLSConfig(); err != nil {
			return nil, err
		}
	}
	proxy, err := observe.Listen(ctx, p.listen, t, config, options)
	if err != nil {
		return nil, err
	}
	address := target.SchemeTCP + "://" + proxy.Address
	s.Notef("%s %s forwards to %s", s.ErrPalette().Good("✓"), address, t.Name())
	title := fmt.Sprintf("%s → %s", address, t.Name())
	return &tapSource{messages: proxy.Messages, title: title, close: proxy.Close, again: func(tap.Message) string { return address }}, nil
}

// receiver returns where to send a message again whose receiver is named to.
func (t *tapSource) receiver(m tap.Message, to string) (string, []string, error) {
	switch {
	case t.again == nil:
		return to, nil, nil
	case m.Outcome == reported.NoRequest:
		return "", nil, errors.New("this is a reply to a request that was not seen")
	}
	return t.again(m), t.flags, nil
}
