package scaffold

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"github.com/msctl/msctl/internal/secret"
	"github.com/msctl/msctl/internal/workspace"
)

// Secrets are the secrets of a workspace for development. They are in its msctl.yaml, so
// that every developer has them, and their prefix makes the programs refuse them in
// production.
type Secrets struct {
	// Tokens signs the tokens of `msctl token`.
	Tokens string
	// Principals signs the gateway's callers for the services.
	Principals string
}

var developmentSecret = regexp.MustCompile(`(?m)^\s+(AUTH_SECRET|PRINCIPAL_SECRET): ["']?(` + secret.DevelopmentPrefix + `[A-Za-z0-9_-]+)`)

// SecretsIn returns the secrets of the workspace in a folder, so that its files are rendered
// as before. Those that it lacks, or all of them if there is no workspace, are empty.
func SecretsIn(dir string) (Secrets, error) {
	text, err := os.ReadFile(filepath.Join(dir, workspace.FileName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Secrets{}, err
	}
	var s Secrets
	for _, found := range developmentSecret.FindAllSubmatch(text, -1) {
		switch string(found[1]) {
		case "AUTH_SECRET":
			s.Tokens = cmp.Or(s.Tokens, string(found[2]))
		case "PRINCIPAL_SECRET":
			s.Principals = cmp.Or(s.Principals, string(found[2]))
		}
	}
	return s, nil
}

// complete returns the secrets with new ones for those that are empty.
func (s Secrets) complete() Secrets {
	return Secrets{Tokens: cmp.Or(s.Tokens, newSecret()), Principals: cmp.Or(s.Principals, newSecret())}
}

func newSecret() string {
	random := make([]byte, 32)
	_, _ = rand.Read(random) // never fails
	return secret.DevelopmentPrefix + hex.EncodeToString(random)
}
