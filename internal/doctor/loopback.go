package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/workspace"
	"github.com/msctl/msctl/runtime/micro"
)

// loopback reports services that listen on the loopback interface only, although others address them by the
// name of a container or of another host, and names of hosts that do not exist.
func loopback(ctx context.Context, e *exam) {
	for _, o := range e.seen {
		if o.target.Kind() == target.TCP && !target.IsSocket(o.target.Addresses[0]) {
			e.listenerOf(ctx, o)
		}
	}
	if len(e.all()) > 0 {
		e.containers(ctx)
	}
}

// listenerOf looks for the listener of an address on the loopback interface, if it cannot be reached.
func (e *exam) listenerOf(ctx context.Context, o *observation) {
	host, port := o.target.FirstHostPort()
	if o.replies > 0 {
		e.checked()
		return
	}
	if o.err == nil || !errors.Is(o.err, micro.ErrUnreachable) || isLoopbackName(host) {
		return
	}
	var unknown *net.DNSError
	notFound := errors.As(o.err, &unknown) && unknown.IsNotFound
	local := net.JoinHostPort("127.0.0.1", port)
	listens := accepts(ctx, local, e.Timeout) == nil
	switch {
	case listens && notFound:
		e.found(Finding{
			Code: "loopback-listener", Where: place(o.target),
			Evidence: append([]string{fmt.Sprintf("the name %s is unknown on this machine", host), "something listens on " + local}, e.holder(local)...),
			Cause:    fmt.Sprintf("%s is a name of another network, such as that of containers, and the service listens on this machine", host),
			Fix:      fmt.Sprintf("address it as localhost:%s from this machine; for other hosts and containers, let it listen on 0.0.0.0 and use a name that they know", port),
		})
	case listens && (target.Local(o.target.Addresses[0]) || e.resolvesHere(ctx, host)):
		e.found(Finding{
			Code: "loopback-listener", Where: place(o.target),
			Evidence: append([]string{fmt.Sprintf("%s refuses connections", o.target.Addresses[0]), fmt.Sprintf("%s accepts them, and %s is this machine", local, host)}, e.holder(local)...),
			Cause:    "the service listens on the loopback interface only (127.0.0.1), so no other host or container can reach it; NestJS does so unless options.host is set",
			Fix:      "let it listen on all interfaces: host: '0.0.0.0' in the options of NestJS, or \":" + port + "\" in Go",
		})
	case notFound:
		e.found(Finding{
			Code: "unknown-host", Where: place(o.target),
			Evidence: []string{fmt.Sprintf("the name %s is unknown on this machine", host)},
			Cause:    "the address is that of another network: names of containers are known only to containers in the same network",
			Fix:      "publish the port and use localhost, or run msctl in that network",
		})
	default:
		e.checked()
	}
}

func isLoopbackName(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || host == "::1" || strings.HasSuffix(host, ".localhost")
}

// resolvesHere reports whether the name of a host is that of this machine.
func (e *exam) resolvesHere(ctx context.Context, host string) bool {
	ctx, cancel := context.WithTimeout(ctx, e.Timeout)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupHost(ctx, host)
	return err == nil && slices.ContainsFunc(addresses, func(a string) bool { return target.Local(net.JoinHostPort(a, "1")) })
}

// containers compares compose.yaml with where the sources of NestJS services listen.
func (e *exam) containers(ctx context.Context) {
	file, services := e.compose()
	if len(services) == 0 {
		return
	}
	for _, s := range e.all() {
		if s.Transport != workspace.TCP || len(s.Command) == 0 || services[s.Name] == nil {
			continue
		}
		callers := callersIn(services, s.Name)
		for _, end := range e.endpoints(ctx, s.Name) {
			if end.transport != "TCP" || end.client {
				continue
			}
			if end.hostUnknown {
				e.skip(s.Name, end.at+" does not determine the host that it listens on")
				continue
			}
			e.checked()
			if len(callers) == 0 || end.host != "" && !isLoopbackName(end.host) {
				continue
			}
			where := "listens on " + end.host
			if end.host == "" {
				where = "sets no host, so NestJS listens on localhost"
			}
			e.found(Finding{
				Code: "loopback-listener", Where: s.Name,
				Evidence: append([]string{end.at + " " + where}, inFile(file, callers)...),
				Cause:    "the service accepts connections from its own container only, and the others address it by the name of its container",
				Fix:      "listen on all interfaces: options: { host: '0.0.0.0', port: " + strconv.Itoa(s.Port) + " }",
			})
		}
	}
}

func inFile(file string, list []string) (out []string) {
	for _, text := range list[:min(len(list), mostListed)] {
		out = append(out, file+": "+text)
	}
	return out
}
