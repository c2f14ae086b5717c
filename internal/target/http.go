package target

import (
	"net/url"
	"strings"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/secret"
)

// SchemeHTTP is the scheme of every HTTP target; its one address is the URL.
const SchemeHTTP = "http"

func http() transport {
	return transport{
		kind:    HTTP,
		schemes: []Scheme{{Name: SchemeHTTP, Sample: "http://host/path"}, {Name: "https", Sample: "https://host/path"}},
		parse:   parseHTTP,
		format:  func(t Target) string { return secret.URL(httpAddress(t)) },
		explain: explainTCP,
	}
}

// httpAddress returns the URL with the login, without the password.
func httpAddress(t Target) string {
	scheme, rest, _ := strings.Cut(t.Addresses[0], "://")
	return scheme + "://" + t.Login.String() + rest
}

func parseHTTP(s Scheme, rest string) (Target, error) {
	text := s.Name + "://" + rest
	shown := WithoutLogin(text)
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return Target{}, exit.Usagef("target %q: invalid URL", shown)
	}
	if u.Port() != "" {
		if err := checkPort(u.Port()); err != nil {
			return Target{}, exit.Usagef("target %q: %w", shown, err)
		}
	}
	t := Target{Scheme: SchemeHTTP, Addresses: []string{text}}
	if u.User != nil {
		t.Login = readLogin(u.User, false)
		at := strings.LastIndexByte(rest[:strings.IndexAny(rest+"/", "/?#")], '@')
		t.Addresses[0] = s.Name + "://" + rest[at+1:] // as it was typed
	}
	return t, nil
}

// throughHTTP returns a URL with another host and port.
func throughHTTP(address, host string) string {
	scheme, rest, _ := strings.Cut(address, "://")
	return scheme + "://" + host + rest[strings.IndexAny(rest+"/", "/?#"):]
}
