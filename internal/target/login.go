package target

import (
	"errors"
	"net/url"
	"os"
	"strings"

	"github.com/msctl/msctl/internal/exit"
)

// password holds a text that cannot be printed by accident: printing it, or a value
// that contains it, prints the address of a function. Calling it returns the text.
type password func() string

func newPassword(text string) password { return func() string { return text } }

// PasswordVariable is the environment variable with the password for an address that
// has none.
const PasswordVariable = "MSCTL_PASSWORD"

// Login is what precedes the @ of an address. The zero value is no login.
type Login struct {
	Given    bool // whether the address has an @
	User     string
	Password password // nil for none; without a user, a NATS token or a Redis password
}

// readLogin takes a password that is missing in info from the environment. With
// token, a user without a password is itself the secret.
func readLogin(info *url.Userinfo, token bool) Login {
	l := Login{Given: true, User: info.Username()}
	text, ok := info.Password()
	if !ok {
		text, ok = os.LookupEnv(PasswordVariable)
	}
	switch {
	case ok:
		l.Password = newPassword(text)
	case token && l.User != "":
		l.User, l.Password = "", newPassword(l.User)
	}
	return l
}

// String returns the login and the @, without the password.
func (l Login) String() string {
	if !l.Given {
		return ""
	}
	return url.User(l.User).String() + "@"
}

// PasswordText returns the password, or "".
func (l Login) PasswordText() string {
	if l.Password == nil {
		return ""
	}
	return l.Password()
}

// reveal returns the login with its password and the @, for dialing. With token, a
// password without a user is written without a colon.
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

// same reports whether two logins are equal.
func (l Login) same(other Login) bool {
	if l.User != other.User || (l.Password == nil) != (other.Password == nil) {
		return false
	}
	return l.Password == nil || l.Password() == other.Password()
}

// check reports what a login lacks.
func (l Login) check(t transport) error {
	switch {
	case !l.Given:
		return nil
	case l.Password == nil && (t.fullLogin || l.User == ""):
		return exit.WithHint(errors.New("the password is missing"), "write user:password@host, or set the password in %s", PasswordVariable)
	case l.User == "" && t.fullLogin:
		return exit.WithHint(errors.New("the user is missing"), "%s requires user:password@", t.kind)
	}
	return nil
}

// Shown returns a TARGET without the password, as it can be used again with the
// password in the environment. The query of a URL is not changed.
func Shown(text string) string {
	if !strings.Contains(text, "@") {
		return text
	}
	t, err := ParseURL(text)
	switch {
	case err != nil:
		return WithoutLogin(text)
	case t.Scheme == SchemeHTTP:
		return httpAddress(t)
	}
	return t.String()
}

// WithoutLogin returns an address for the text of an error. The address may be
// malformed, so everything before the last @ could be part of a password and becomes
// an ellipsis.
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
