package cli

import (
	"net/url"
	"os"
	"strings"
)

// secret is a text that cannot be printed by accident: what prints it, or
// whatever holds it, prints an address. Only a call of it gives the text.
type secret func() string

func newSecret(text string) secret { return func() string { return text } }

// passwordVariable is the environment variable that holds the password of an
// address that has none.
const passwordVariable = "MSCTL_PASSWORD"

// login is who we are to a broker or a web server. The zero login is nobody.
type login struct {
	given    bool // there was an @
	user     string
	password secret // nil for none; without a user it is a NATS token, or a Redis password
}

// readLogin reads what stands before the @. A password that is not there is taken
// from the environment. alone tells that a user without a password is itself the
// secret, as a NATS token is.
func readLogin(info *url.Userinfo, alone bool) login {
	if info == nil {
		return login{}
	}
	l := login{given: true, user: info.Username()}
	text, ok := info.Password()
	if !ok {
		text, ok = os.LookupEnv(passwordVariable)
	}
	switch {
	case ok:
		l.password = newSecret(text)
	case alone && l.user != "":
		l.user, l.password = "", newSecret(l.user)
	}
	return l
}

// String is the login with its @, as it can be typed again when the password is
// in the environment.
func (l login) String() string {
	if !l.given {
		return ""
	}
	return url.User(l.user).String() + "@"
}

// text is the password, "" for none.
func (l login) text() string {
	if l.password == nil {
		return ""
	}
	return l.password()
}

// reveal is the login with its password and its @, for the one who dials. token
// tells that a password alone is written without a colon.
func (l login) reveal(token bool) string {
	switch {
	case !l.given:
		return ""
	case l.password == nil:
		return url.User(l.user).String() + "@"
	case l.user == "" && token:
		return url.User(l.password()).String() + "@"
	}
	return url.UserPassword(l.user, l.password()).String() + "@"
}

// shownTarget is a TARGET as it was typed, without the password: with that in the
// environment it can be typed again.
func shownTarget(text string) string {
	if !strings.Contains(text, "@") {
		return text
	}
	t, err := parseURL(text)
	if err != nil {
		return withoutLogin(text)
	}
	return t.String()
}

// withoutLogin is an address that may be wrong in any way, for an error's text:
// everything before the last @ has become …, since it may be part of a password.
func withoutLogin(text string) string {
	scheme, rest, found := strings.Cut(text, "://")
	if !found {
		scheme, rest = "", text
	} else {
		scheme += "://"
	}
	at := strings.LastIndexByte(rest, '@')
	if at < 0 {
		return text
	}
	return scheme + "…" + rest[at:]
}

// masked is a text with what may be a password in it covered, each byte by an
// asterisk, so that places in it stay what they are: what stands in a line between
// the :// of an address and the last @.
func masked(text string) string {
	out := []byte(text)
	for at := 0; ; {
		begin := strings.Index(text[at:], "://")
		if begin < 0 {
			return string(out)
		}
		begin += at + len("://")
		end := begin + strings.IndexAny(text[begin:]+"\n", "\r\n")
		at = end
		last := strings.LastIndexByte(text[begin:end], '@')
		for i := begin; i < begin+last; i++ {
			out[i] = '*'
		}
	}
}
