package agents

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/nats-io/nkeys"

	"github.com/msctl/msctl/internal/exit"
)

// SeedVariable is the environment variable with the seed that signs commands.
const SeedVariable = "MSCTL_BENCH_SEED"

// NewKey returns a new seed, which signs commands, and the public key with which agents
// verify them.
func NewKey() (seed, public string, err error) {
	pair, err := nkeys.CreateUser()
	if err != nil {
		return "", "", fmt.Errorf("make a key: %w", err)
	}
	defer pair.Wipe()
	text, err := pair.Seed()
	if err != nil {
		return "", "", fmt.Errorf("make a key: %w", err)
	}
	public, err = pair.PublicKey()
	return string(text), public, err
}

// CheckPublic returns a usage error if a text is not a public key.
func CheckPublic(text string) error {
	if nkeys.IsValidPublicUserKey(text) {
		return nil
	}
	if strings.HasPrefix(text, "S") {
		return exit.WithHint(exit.Usagef("--trust requires the public key, not the seed"), "`msctl bench key` prints both; the public key begins with U")
	}
	return exit.WithHint(exit.Usagef("invalid --trust %q: it is not a public key", text), "`msctl bench key` makes one; it begins with U")
}

// Signer signs commands. It is safe for concurrent use.
type Signer struct {
	pair   nkeys.KeyPair
	public string
}

// NewSigner returns the signer for a seed.
func NewSigner(seed string) (*Signer, error) {
	pair, err := nkeys.FromSeed([]byte(strings.TrimSpace(seed)))
	if err != nil {
		return nil, errors.New("not a seed")
	}
	public, err := pair.PublicKey()
	if err != nil || !nkeys.IsValidPublicUserKey(public) {
		return nil, errors.New("not a seed of `msctl bench key`")
	}
	return &Signer{pair, public}, nil
}

// LoadSigner returns the signer for the seed in a file, or in SeedVariable if path is "".
// All its errors are usage errors, and none contains the seed.
func LoadSigner(path string) (*Signer, error) {
	what, seed := SeedVariable, os.Getenv(SeedVariable)
	if path != "" {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, exit.Usagef("--agents-seed: %w", err)
		}
		what, seed = "--agents-seed "+path, string(content)
	}
	if seed == "" {
		return nil, exit.WithHint(exit.Usagef("--agents requires the seed that signs commands: set %s or --agents-seed FILE", SeedVariable),
			"`msctl bench key` makes a seed, and the public key for the agents' --trust")
	}
	for line := range strings.Lines(seed) { // the output of `msctl bench key` may have been saved
		if fields := strings.Fields(line); len(fields) > 0 && strings.HasPrefix(fields[len(fields)-1], "SU") {
			seed = fields[len(fields)-1]
			break
		}
	}
	s, err := NewSigner(seed)
	if err != nil {
		return nil, exit.WithHint(exit.Usagef("%s is %w", what, err), "`msctl bench key` makes one; it begins with SU")
	}
	return s, nil
}

// Public returns the public key.
func (s *Signer) Public() string { return s.public }

// signed is a command with its signature.
type signed struct {
	Command   []byte `json:"command"` // JSON
	Signature []byte `json:"signature"`
}

// sign returns a command as it travels.
func (s *Signer) sign(c *command) ([]byte, error) {
	body := encode(c)
	signature, err := s.pair.Sign(body)
	if err != nil {
		return nil, fmt.Errorf("sign a command: %w", err)
	}
	return encode(signed{body, signature}), nil
}

// verify returns the command of a message if the public key's owner has signed it.
func verify(message []byte, public string) (*command, error) {
	var s signed
	if err := json.Unmarshal(message, &s); err != nil || len(s.Command) == 0 {
		return nil, errors.New("the command is malformed")
	}
	if len(s.Signature) == 0 {
		return nil, errors.New("the command is not signed")
	}
	key, err := nkeys.FromPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("the trusted key is invalid: %w", err)
	}
	if err := key.Verify(s.Command, s.Signature); err != nil {
		return nil, errors.New("the signature is not that of the trusted key")
	}
	var c command
	if err := json.Unmarshal(s.Command, &c); err != nil {
		return nil, errors.New("the command is malformed")
	}
	return &c, nil
}
