// Package stagger connects to the first of several addresses that answers. An address that
// drops packets instead of refusing them costs a quarter of a second, not a whole timeout.
package stagger

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Delay is the time after which the next address is tried while the earlier ones have not
// answered yet: the Connection Attempt Delay of RFC 8305.
const Delay = 250 * time.Millisecond

// Dial connects to address over TCP, or to a Unix socket if address is a path, which begins
// with a slash. If its host name has several IP addresses, it tries them
// in the resolver's order, alternating between IPv6 and IPv4, each Delay after the previous
// one or as soon as that one has failed. The first connection wins, and the others are closed.
// The error is that of the first address.
func Dial(ctx context.Context, address string) (net.Conn, error) {
	targets, err := Resolve(ctx, address)
	if err != nil {
		return nil, err
	}
	return First(ctx, targets, func(ctx context.Context, target string) (net.Conn, error) { return Connect(ctx, target, nil) })
}

// Control is called before a connection is made, with its network and address, and prevents it
// with an error: see net.Dialer. nil prevents none.
type Control = func(network, address string, c syscall.RawConn) error

// Connect opens a connection to one target of Resolve.
func Connect(ctx context.Context, target string, control Control) (net.Conn, error) {
	network := "tcp"
	if strings.HasPrefix(target, "/") {
		network = "unix"
	}
	dialer := net.Dialer{Control: control}
	return dialer.DialContext(ctx, network, target)
}

// Resolve returns the targets for an address, in the order in which Dial tries them: each IP
// address of its host name with the port, or the address itself if it has no host name. A
// program that reconnects resolves again, because the addresses of a host may have changed.
func Resolve(ctx context.Context, address string) ([]string, error) {
	if strings.HasPrefix(address, "/") {
		return []string{address}, nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
	}
	if _, err := netip.ParseAddr(host); err == nil || host == "" {
		return []string{address}, nil
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
	}
	var targets []string
	for _, ip := range alternate(found) {
		targets = append(targets, net.JoinHostPort(ip.Unmap().String(), port))
	}
	return targets, nil
}

// First calls dial for each target, and returns the first connection. It starts each call
// Delay after the previous one, or as soon as one has failed. Before it returns, it cancels
// the other calls and waits for them, and their connections are closed. The error is that of
// the first target.
//
// Targets that have failed are tried again, after growing pauses, while others have not answered
// yet: a server that is restarting must not wait for one that does not answer.
//
// What dial returns is ready for use: it should include the handshake and the login, because a
// host that accepts connections and stays silent is no better than one that does not answer.
func First[T io.Closer](ctx context.Context, targets []string, dial func(ctx context.Context, target string) (T, error)) (T, error) {
	var calls sync.WaitGroup
	defer calls.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var none T
	type result struct {
		conn T
		err  error
		n    int
	}
	results := make(chan result) // not buffered: after the loop, each goroutine closes its own connection
	errs := make([]error, len(targets))
	var queue []int // what to try next: new targets, then those that have failed
	for n := range targets {
		queue = append(queue, n)
	}
	next, pause := time.NewTimer(0), Delay
	defer next.Stop()
	for untried, failed := len(targets), 0; failed < len(targets); {
		var start <-chan time.Time
		if len(queue) > 0 {
			start = next.C
		}
		select {
		case <-start:
			n := queue[0]
			queue = queue[1:]
			untried--
			next.Reset(Delay)
			calls.Go(func() {
				conn, err := dial(ctx, targets[n])
				select {
				case results <- result{conn, err, n}:
				case <-ctx.Done():
					if err == nil {
						_ = conn.Close()
					}
				}
			})
		case r := <-results:
			if r.err == nil {
				return r.conn, nil
			}
			if ctx.Err() != nil { // so it has been called off
				return none, ended(ctx, errs)
			}
			if errs[r.n] == nil {
				failed++
				errs[r.n] = r.err
			}
			queue = append(queue, r.n)
			if untried > 0 {
				next.Reset(0)
			} else {
				next.Reset(pause)
				pause *= 2
			}
		case <-ctx.Done():
			return none, ended(ctx, errs)
		}
	}
	if len(targets) == 0 {
		return none, errors.New("no address")
	}
	return none, errs[0]
}

// ended returns the error after ctx has ended: that of a target, if there is one.
func ended(ctx context.Context, errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return &net.OpError{Op: "dial", Net: "tcp", Err: context.Cause(ctx)}
}

// alternate reorders addresses so that the families take turns, beginning with that of the
// first one. The order within each family stays.
func alternate(found []netip.Addr) []netip.Addr {
	if len(found) == 0 {
		return nil
	}
	first := found[0].Unmap().Is4()
	var same, other, all []netip.Addr
	for _, ip := range found {
		if ip.Unmap().Is4() == first {
			same = append(same, ip)
		} else {
			other = append(other, ip)
		}
	}
	for len(same) > 0 || len(other) > 0 {
		if len(same) > 0 {
			all, same = append(all, same[0]), same[1:]
		}
		if len(other) > 0 {
			all, other = append(all, other[0]), other[1:]
		}
	}
	return all
}
