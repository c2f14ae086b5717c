// Package redisurl parses the URLs of Redis that all packages of this module accept.
package redisurl

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// ErrInvalid describes the form of a valid URL. It contains neither the URL nor the parse
// error, since both may contain part of a password.
var ErrInvalid = errors.New("invalid Redis URL: must be redis://[user:password@]host:port[/db], rediss:// for TLS, redis+unix:///path, or " +
	"redis+sentinel://host:26379,host:26379/master, with special characters of the password percent-encoded")

// Sentinels are the Sentinels that know the address of a master.
type Sentinels struct {
	Master    string
	Addresses []string

	url string // of the first one, with the login
}

const sentinelPort = "26379"

// Parse parses a URL of any form. With Sentinels, the address of the options is all of theirs, for
// messages; without, they are nil. The error contains nothing of the URL.
func Parse(text string) (*redis.Options, *Sentinels, error) {
	o, masters, err := parse(text)
	if err != nil {
		return nil, nil, ErrInvalid
	}
	host, _, _ := net.SplitHostPort(o.Addr) // fails for the path of a Unix socket, and several Sentinels
	if _, err := netip.ParseAddr(host); err != nil && strings.Contains(host, ":") {
		return nil, nil, ErrInvalid // user:password without a host
	}
	return o, masters, nil
}

func parse(text string) (*redis.Options, *Sentinels, error) {
	masters, err := sentinelsOf(text)
	if err != nil {
		return nil, nil, err
	}
	if masters != nil {
		o, err := redis.ParseURL(masters.url)
		if err == nil {
			o.Addr = strings.Join(masters.Addresses, ",")
		}
		return o, masters, err
	}
	if rest, ok := strings.CutPrefix(text, "redis+unix://"); ok {
		text = "unix://" + rest
	}
	o, err := redis.ParseURL(withoutForeign(text))
	return o, nil, err
}

// sentinelsOf parses redis+sentinel://[user:password@]host[:port],host[:port]/master[/db], or
// the same with rediss+sentinel. It returns nil for a URL of another form. As in NestJS's
// lists of addresses, the scheme, the login, and the path may be repeated for each host.
func sentinelsOf(text string) (*Sentinels, error) {
	scheme, rest, _ := strings.Cut(text, "://")
	plain, ok := strings.CutSuffix(scheme, "+sentinel")
	if !ok || plain != "redis" && plain != "rediss" {
		return nil, nil
	}
	s := &Sentinels{}
	login, path := "", ""
	for one := range strings.SplitSeq(rest, ",") {
		one = strings.TrimPrefix(strings.TrimSpace(one), scheme+"://")
		if at := strings.LastIndexByte(one, '@'); at >= 0 {
			login, one = one[:at+1], one[at+1:]
		}
		host, after, _ := strings.Cut(one, "/")
		if after != "" {
			path = after
		}
		if _, _, err := net.SplitHostPort(host); err != nil {
			host = net.JoinHostPort(strings.Trim(host, "[]"), sentinelPort)
		}
		s.Addresses = append(s.Addresses, host)
	}
	path, _, _ = strings.Cut(path, "?")
	s.Master, _, _ = strings.Cut(path, "/")
	if s.Master == "" {
		return nil, errors.New("the name of the master is missing")
	}
	s.url = plain + "://" + login + s.Addresses[0]
	return s, nil
}

// withoutForeign removes the options that the driver does not know from a URL. They belong to
// other clients.
func withoutForeign(text string) string {
	base, query, found := strings.Cut(text, "?")
	if !found || strings.Contains(query, "@") { // a password that is not encoded
		return text
	}
	own := slices.DeleteFunc(strings.Split(query, "&"), func(one string) bool {
		name, _, _ := strings.Cut(one, "=")
		return !slices.Contains([]string{"dial_timeout", "read_timeout", "write_timeout", "skip_verify"}, name)
	})
	return base + "?" + strings.Join(own, "&")
}
