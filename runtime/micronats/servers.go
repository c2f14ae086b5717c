package micronats

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/nats-io/nkeys"
)

// defaultPort is the port of a NATS server.
const defaultPort = "4222"

// servers are the parsed addresses of a broker or cluster. Passwords are in a function, so that
// printing servers, or a value that contains it, does not reveal them.
type servers struct {
	urls    func() []string
	safe    string // without passwords, tokens, and options
	err     error
	cluster *cluster

	login       bool // there is a user
	credentials credentials
}

// parseServers parses "nats://a:4222,tls://user:password@b?nkey=FILE". Its errors never contain
// a part of the text, because any part might be one of a password.
func parseServers(text string) servers {
	var urls, safe []string
	var result servers
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		part, query, _ := strings.Cut(part, "?")
		u, err := parseServer(part)
		if err == nil && query != "" {
			var found credentials
			if found, err = parseOptions(query); found.read != nil {
				result.credentials = found
			}
		}
		if err != nil {
			return servers{err: fmt.Errorf("NATS server %d of the list: %w", len(urls)+1, err)}
		}
		result.login = result.login || u.User != nil
		urls = append(urls, u.String())
		safe = append(safe, redacted(u))
	}
	if urls == nil {
		return servers{err: errors.New("no NATS server given")}
	}
	result.urls, result.safe = func() []string { return urls }, strings.Join(safe, ",")
	result.cluster = newCluster(urls)
	if result.login && result.credentials.read != nil {
		result.err = errTwoLogins
	}
	return result
}

var errTwoLogins = errors.New("a user in the URL cannot be combined with credentials or an nkey")

// parseOptions parses what follows the ? of a server: creds=FILE or nkey=FILE. The options of
// other clients are ignored.
func parseOptions(query string) (credentials, error) {
	values, err := url.ParseQuery(query)
	creds, nkey := values.Get("creds"), values.Get("nkey")
	switch {
	case err != nil || strings.Contains(query, "@") || creds != "" && nkey != "" || values.Has("creds") != (creds != "") || values.Has("nkey") != (nkey != ""):
		return credentials{}, errors.New("only creds=FILE or nkey=FILE may follow the ? of its URL; a password's special characters must be percent-encoded in it")
	case creds == "" && nkey == "":
		return credentials{}, nil
	case isSeed(nkey):
		return credentials{}, errors.New("nkey in its URL must be a file that contains the seed: programs and users could read a seed in an address")
	case creds != "":
		return credentials{inFile(creds), true}, nil
	}
	return credentials{inFile(nkey), false}, nil
}

var errNotURL = errors.New("not a URL; a password's special characters must be percent-encoded in it")

// isSeed reports whether a text is the seed of an nkey.
func isSeed(text string) bool {
	_, _, err := nkeys.DecodeSeed([]byte(text))
	return err == nil
}

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
