package micronats

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// credentials authenticate with a key pair in place of a password. The zero value has none.
// Printing it shows no secret: it is in a function.
type credentials struct {
	read func() ([]byte, error) // nil for none
	jwt  bool                   // what it reads has a JWT and a seed; otherwise, only a seed
}

// errCredentials is the error of credentials that cannot be used. Its text contains no part
// of them.
var errCredentials = errors.New("the credentials cannot be used")

func inMemory(text string) func() ([]byte, error) {
	return func() ([]byte, error) { return []byte(text), nil }
}

func inFile(path string) func() ([]byte, error) {
	return func() ([]byte, error) {
		if rest, ok := strings.CutPrefix(path, "~/"); ok {
			home, err := os.UserHomeDir()
			if err != nil {
				return nil, err
			}
			path = filepath.Join(home, rest)
		}
		return os.ReadFile(path)
	}
}

// WithCredentials authenticates with the contents of a .creds file, which has the JWT of a
// user and the seed of its key: NestJS's credsAuthenticator and jwtAuthenticator.
func WithCredentials(contents string) Option {
	return option(func(s *settings) { s.credentials = credentials{inMemory(contents), true} })
}

// WithCredentialsFile is [WithCredentials] for a file. It is read whenever a connection is
// made, so that a renewed JWT takes effect. The address option ?creds=FILE does the same.
func WithCredentialsFile(path string) Option {
	return option(func(s *settings) { s.credentials = credentials{inFile(path), true} })
}

// WithNKey authenticates with the seed of a user's nkey, which begins with SU: NestJS's
// nkeyAuthenticator.
func WithNKey(seed string) Option {
	return option(func(s *settings) { s.credentials = credentials{inMemory(seed), false} })
}

// WithNKeyFile is [WithNKey] for a file that contains the seed. The address option ?nkey=FILE does the same.
func WithNKeyFile(path string) Option {
	return option(func(s *settings) { s.credentials = credentials{inFile(path), false} })
}

// apply sets the options of the driver, which asks for the credentials whenever it connects.
func (c credentials) apply(o *nats.Options) error {
	if c.read == nil {
		return nil
	}
	key, err := c.key()
	if err != nil {
		return err
	}
	defer key.Wipe()
	if c.jwt {
		o.UserJWT = c.userJWT
		if _, err := c.userJWT(); err != nil {
			return err
		}
	} else if o.Nkey, err = key.PublicKey(); err != nil {
		return fmt.Errorf("%w: %w", errCredentials, err)
	}
	o.SignatureCB = c.sign
	return nil
}

// contents reads the credentials.
func (c credentials) contents() ([]byte, error) {
	contents, err := c.read()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errCredentials, err)
	}
	return contents, nil
}

// key returns the key pair.
func (c credentials) key() (nkeys.KeyPair, error) {
	contents, err := c.contents()
	if err != nil {
		return nil, err
	}
	defer clear(contents)
	key, err := nkeys.ParseDecoratedUserNKey(contents)
	if err != nil {
		return nil, fmt.Errorf("%w: there is no seed of a user in them: %w", errCredentials, err)
	}
	return key, nil
}

func (c credentials) userJWT() (string, error) {
	contents, err := c.contents()
	if err != nil {
		return "", err
	}
	defer clear(contents)
	jwt, err := nkeys.ParseDecoratedJWT(contents)
	if err != nil || strings.Count(jwt, ".") != 2 || strings.ContainsAny(jwt, "\r\n ") {
		return "", fmt.Errorf("%w: there is no JWT in them", errCredentials)
	}
	return jwt, nil
}

func (c credentials) sign(nonce []byte) ([]byte, error) {
	key, err := c.key()
	if err != nil {
		return nil, err
	}
	defer key.Wipe()
	return key.Sign(nonce)
}

// CheckCredentials returns an error if the server list, as for [Dial], names a file of
// credentials that cannot be used.
func CheckCredentials(servers string) error {
	to := parseServers(servers)
	if to.err != nil {
		return to.err
	}
	return to.credentials.apply(&nats.Options{})
}
