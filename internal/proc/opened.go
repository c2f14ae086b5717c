package proc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/msctl/msctl/internal/proc/socket"
	"github.com/msctl/msctl/internal/workspace"
)

// openedCheck checks a process that opens its port itself, at each address at which it
// may answer. An answer counts only if it comes from this process.
type openedCheck struct {
	service   *service
	process   *process
	addresses []string
	checks    []checker // one per address; or only one, which queries no address
	found     string    // where the process has answered; "" if that is not known
}

// otherAnswers is how long a process that has answered at one address may take to answer
// at the others.
const otherAnswers = 100 * time.Millisecond

// checkOpened returns the check of a process that opens its port itself.
func (s *service) checkOpened(p *process) *openedCheck {
	c := &openedCheck{service: s, process: p, addresses: reachable(s.spec)}
	if s.spec.Ready == workspace.ReadyProcess || s.broker != nil && s.spec.Ready != workspace.ReadyHTTP {
		c.checks = []checker{s.check("", false)}
		return c
	}
	for _, address := range c.addresses {
		c.checks = append(c.checks, s.check(address, false))
	}
	return c
}

// check queries all addresses at the same time: a program that accepts connections at one
// of them and does not answer must not delay the others.
func (c *openedCheck) check(ctx context.Context) error {
	if len(c.checks) != len(c.addresses) {
		if err := c.checks[0].check(ctx); err != nil {
			return err
		}
		c.found = c.accepting(ctx)
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		i   int
		err error
	}
	results := make(chan result, len(c.checks))
	for i, one := range c.checks {
		go func() { results <- result{i, one.check(ctx)} }()
	}
	errs := make([]error, len(c.checks))
	for range c.checks {
		r := <-results
		if r.err == nil {
			r.err = c.belongs(ctx, c.addresses[r.i])
		}
		if r.err == nil {
			// The others return soon. If several answer, the first in the list counts.
			defer time.AfterFunc(otherAnswers, cancel).Stop()
		}
		errs[r.i] = r.err
	}
	if i := slices.Index(errs, nil); i >= 0 {
		c.found = c.addresses[i]
		return nil
	}
	return c.explain(errs)
}

// diagnose replaces the error of a service that accepts connections and does not answer
// messages, if it speaks another protocol.
func (c *openedCheck) diagnose(ctx context.Context, err error) error {
	s := c.service
	if err == nil || s.run.options.Protocol == nil || s.spec.Ready != workspace.ReadyMessage || s.broker != nil {
		return err
	}
	select {
	case <-c.process.Exited:
		return err
	case <-s.stop:
		return err
	default:
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkTimeout) // ctx has ended
	defer cancel()
	address := c.accepting(ctx)
	if address == "" {
		return err
	}
	protocol := s.run.options.Protocol(ctx, address)
	if protocol == "" {
		return err
	}
	text := fmt.Sprintf("it speaks %s at %s, not NestJS's TCP transport", protocol, address)
	if protocol == "HTTP" {
		text += "; with `ready: http`, msctl queries GET /health"
	}
	return errors.New(text)
}

// accepting returns the address at which a process that is not queried accepts
// connections, or "" if there is none.
func (c *openedCheck) accepting(ctx context.Context) string {
	for _, address := range c.addresses {
		if conn, err := new(net.Dialer).DialContext(ctx, "tcp", address); err == nil {
			_ = conn.Close()
			if c.belongs(ctx, address) == nil {
				return address
			}
		}
	}
	return ""
}

// belongs returns an error if a process that is not part of the service listens at
// address. The port was free before the service was started, so an owner that the system
// does not reveal counts as part of it.
func (c *openedCheck) belongs(ctx context.Context, address string) error {
	owners := socket.Owners(ctx, address)
	for _, o := range owners {
		if c.process.Includes(o.Pid) || forwards(o.Name) {
			return nil
		}
	}
	if len(owners) == 0 {
		return nil
	}
	return fmt.Errorf("%s answers at %s, but is no process of this service", owners[0], address)
}

// forwards reports whether a program listens on behalf of a container.
func forwards(name string) bool {
	return slices.ContainsFunc([]string{
		"docker-proxy", "com.docke", "rootlessport", "rootlesskit", "slirp4netns", "pasta", "gvproxy", "vpnkit", "OrbStack", "limactl",
	}, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// explain returns the errors of all addresses as one that names what was tried, and where
// the process listens instead.
func (c *openedCheck) explain(errs []error) error {
	var other []error
	for _, err := range errs {
		if !errors.Is(err, syscall.ECONNREFUSED) {
			other = append(other, err)
		}
	}
	if len(other) > 0 {
		return addressErrors(other)
	}
	text := "nothing listens at " + strings.Join(c.addresses, " or ")
	if elsewhere := c.listening(); elsewhere != "" {
		text += "; it listens at " + elsewhere
	}
	return errors.New(text)
}

// addressErrors are the errors of several addresses, on one line.
type addressErrors []error

// Error joins the texts.
func (list addressErrors) Error() string {
	texts := make([]string, len(list))
	for i, err := range list {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

// Unwrap returns the errors.
func (list addressErrors) Unwrap() []error { return list }

// listening returns the addresses at which the process listens, other than those that
// were queried.
func (c *openedCheck) listening() string {
	var list []string
	for _, at := range socket.ListeningAt(c.process.Includes) {
		if int(at.Port()) != c.service.spec.Port || !isReachableAt(c.addresses, at) {
			list = append(list, at.String())
		}
	}
	return strings.Join(list, ", ")
}

func isReachableAt(addresses []string, at netip.AddrPort) bool {
	return at.Addr().IsUnspecified() || slices.Contains(addresses, at.String())
}

func (c *openedCheck) close() {
	for _, one := range c.checks {
		one.close()
	}
}
