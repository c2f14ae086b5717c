package micronats

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// defaultPort is that of a NATS server.
const defaultPort = "4222"

// servers are the parsed addresses of one broker or cluster. Printing them,
// or a value that holds them, shows no password: it is in a function.
type servers struct {
	urls func() []string
	safe string // without passwords and tokens
	err  error
}

// parseServers reads "nats://a:4222,tls://user:password@b". Its errors never hold
// a part of the text, because any part might be one of a password.
func parseServers(text string) servers {
	var urls, safe []string
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		u, err := parseServer(part)
		if err != nil {
			return servers{err: fmt.Errorf("NATS server %d of the list: %w", len(urls)+1, err)}
		}
		urls = append(urls, u.String())
		safe = append(safe, redacted(u))
	}
	if urls == nil {
		return servers{err: errors.New("no NATS server given")}
	}
	return servers{urls: func() []string { return urls }, safe: strings.Join(safe, ",")}
}

var errNotURL = errors.New("not a URL; a password's special characters must be percent-encoded in it")

func parseServer(text string) (*url.URL, error) {
	if !strings.Contains(text, "://") {
		text = "nats://" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, errNotURL
	}
	switch u.Scheme {
	case "nats", "tls":
	case "nats+tls":
		u.Scheme = "tls"
	default:
		return nil, errors.New("its URL must begin with nats:// or tls://")
	}
	if u.Hostname() == "" {
		return nil, errors.New("its URL has no host")
	}
	if (u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("the URL may only contain a user, a host, and a port; a password's special characters must be percent-encoded in it")
	}
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), defaultPort)
	}
	u.Path = ""
	if _, err := url.Parse(u.String()); err != nil {
		return nil, errNotURL
	}
	return u, nil
}

// redacted returns the URL without its password or token.
func redacted(u *url.URL) string {
	r := *u
	if r.User != nil {
		if _, ok := r.User.Password(); ok {
			r.User = url.UserPassword(r.User.Username(), "xxxxx")
		} else {
			r.User = url.User("xxxxx") // a name alone is a token
		}
	}
	return r.String()
}
