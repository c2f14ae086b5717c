package microrabbit

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// address is the address of one broker.
type address struct {
	url  string // may contain the password: never logged
	name string // the URL without credentials, for messages
	host string // host:port
	// hostname is the host without the port. With tls, the certificate must match it.
	hostname  string
	tls       bool
	heartbeat time.Duration // 0 if the URL does not specify it
}

var nextURL = regexp.MustCompile(`,\s*amqps?://`)

// errURL describes the form of a broker's URL. It does not include the URL, which may
// contain a password.
var errURL = errors.New("the broker's URL must have the form amqp://user:password@host:port/vhost (or amqps://); separate several URLs with commas, and percent-encode special characters in the password")

// parseAddresses splits the URLs of Listen and Dial.
func parseAddresses(list string) ([]address, error) {
	var all []address
	list = strings.TrimSpace(list)
	for list != "" {
		one := list
		if cut := nextURL.FindStringIndex(list); cut != nil {
			one, list = list[:cut[0]], strings.TrimLeft(list[cut[0]:], ", \t")
		} else {
			list = ""
		}
		a, err := parseAddress(strings.TrimSpace(one))
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	if len(all) == 0 {
		return nil, errURL
	}
	return all, nil
}

func parseAddress(text string) (address, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "amqp" && u.Scheme != "amqps" || u.Opaque != "" || strings.ContainsAny(u.Host, " ,") || strings.Contains(u.Hostname(), ":") && !strings.HasPrefix(u.Host, "[") {
		return address{}, errURL
	}
	a := address{url: text, hostname: u.Hostname(), tls: u.Scheme == "amqps"}
	if a.hostname == "" {
		a.hostname = "localhost"
	}
	port := u.Port()
	switch {
	case port != "":
	case a.tls:
		port = "5671"
	default:
		port = "5672"
	}
	if seconds, err := strconv.ParseUint(u.Query().Get("heartbeat"), 10, 16); err == nil {
		a.heartbeat = time.Duration(seconds) * time.Second //nolint:gosec // 16 bits
	}
	a.host = net.JoinHostPort(a.hostname, port)
	a.name = fmt.Sprintf("%s://%s", u.Scheme, a.host)
	if vhost := strings.TrimPrefix(u.EscapedPath(), "/"); vhost != "" && vhost != "%2F" && vhost != "%2f" {
		a.name += "/" + vhost
	}
	return a, nil
}

// names returns the names of the addresses, separated by commas.
func names(all []address) string {
	var list []string
	for _, a := range all {
		list = append(list, a.name)
	}
	return strings.Join(list, ",")
}
