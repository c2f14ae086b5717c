package target

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
const PasswordVariable = "MSCTL_PASSWORD"

// login is who we are to a broker or a web server. The zero login is nobody.
type Login struct {
	Given    bool // there was an @
	User     string
	Password secret // nil for none; without a user it is a NATS token, or a Redis password
}

// readLogin reads what stands before the @. A password that is not there is taken
// from the environment. alone tells that a user without a password is itself the
// secret, as a NATS token is.
func readLogin(info *url.Userinfo, alone bool) Login {
	if info == nil {
		return Login{}
	}
	l := Login{Given: true, User: info.Username()}
	text, ok := info.Password()
	if !ok {
		text, ok = os.LookupEnv(PasswordVariable)
	}
	switch {
	case ok:
		l.Password = newSecret(text)
	case alone && l.User != "":
		l.User, l.Password = "", newSecret(l.User)
	}
	return l
}

// String is the login with its @, as it can be typed again when the password is
// in the environment.
func (l Login) String() string {
	if !l.Given {
		return ""
	}
	return url.User(l.User).String() + "@"
}

// text is the password, "" for none.
func (l Login) Text() string {
	if l.Password == nil {
		return ""
	}
	return l.Password()
}

// reveal is the login with its password and its @, for the one who dials. token
// tells that a password alone is written without a colon.
func (l Login) reveal(token bool) string {
	switch {
	case !l.Given:
		return ""
	case l.Password == nil:
		return url.User(l.User).String() + "@"
	case l.User == "" && token:
		return url.User(l.Password()).String() + "@"
	}
	return url.UserPassword(l.User, l.Password()).String() + "@"
}

// shownTarget is a TARGET as it was typed, without the password: with that in the
// environment it can be typed again.
func Shown(text string) string {
	if !strings.Contains(text, "@") {
		return text
	}
	t, err := ParseURL(text)
	if err != nil {
		return WithoutLogin(text)
	}
	return t.String()
}

// withoutLogin is an address that may be wrong in any way, for an error's text:
// everything before the last @ has become …, since it may be part of a password.
func WithoutLogin(text string) string {
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
func Masked(text string) string {
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
