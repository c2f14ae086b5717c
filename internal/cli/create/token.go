package create

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/msctl/msctl/internal/cli/command"
	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/secret"
	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/internal/workspace"
	"github.com/msctl/msctl/runtime/gateway/auth"
	"github.com/msctl/msctl/runtime/principal"
)

// tokenOptions are the flags of `msctl token`.
type tokenOptions struct {
	caller           principal.Principal
	claims           []string
	expires          time.Duration
	issuer, audience string
	secretFile       string
	gateway          string
	isPrincipal      bool
	isAPIKey         bool
	output           string
}

// NewTokenCommand returns `msctl token`.
func NewTokenCommand(s *term.IO) *cobra.Command {
	var o tokenOptions
	cmd := &cobra.Command{
		Use:     "token",
		Short:   "Print a token for the gateway of the workspace",
		GroupID: command.GroupTalk,
		Long: `Print a bearer token that the gateway of the workspace accepts, for development. It is
signed with the gateway's AUTH_SECRET and has its AUTH_ISSUER and AUTH_AUDIENCE, from
msctl.yaml, .env, .env.local, and the environment, with the precedence of ` + "`msctl run`" + `.

msctl signs only with secrets for development, which begin with ` + secret.DevelopmentPrefix + `, so that
it does not make a token for production by mistake. --secret-file names another secret,
and works outside of a workspace, too. A gateway that verifies tokens with the keys of an
issuer (AUTH_KEYS, or AUTH_ISSUER alone) accepts only the tokens of that issuer.

With --principal, print the metadata with which the gateway introduces the caller to
services, signed with PRINCIPAL_SECRET, for messages that are sent without the gateway.

With --api-key, create a key for the program --sub, with which it can use the API instead
of a token (header X-Api-Key), and print the key. Its hash, for the gateway's
API_KEYS_FILE, is printed on standard error. msctl does not store the key.`,
		Example: `  curl -H "Authorization: Bearer $(msctl token)" http://localhost:3001/items
  msctl token --sub ada --role admin --scope items:read,items:write --expires 10m
  msctl bench --to gateway/items -H "Authorization: Bearer $(msctl token)"
  msctl send cmd=deleteItem id=7 -m "principal=$(msctl token --principal --role admin)"
  msctl token --secret-file secret.txt --issuer https://login.example --audience shop
  msctl token --api-key --sub reports --scope items:read`,
		Args: command.ArgCount(0, 0),
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := o.check(cmd); err != nil {
			return err
		}
		if o.isAPIKey {
			return runAPIKey(s, o)
		}
		return runToken(s, o)
	}
	f := cmd.Flags()
	f.StringVar(&o.caller.Subject, "sub", "developer", "`NAME` of the user or program: the claim sub")
	f.StringSliceVar(&o.caller.Scopes, "scope", nil, "grant the `SCOPE` (repeatable, or a comma-separated list)")
	f.StringSliceVar(&o.caller.Roles, "role", nil, "grant the `ROLE` (repeatable, or a comma-separated list)")
	f.DurationVar(&o.expires, "expires", time.Hour, "end after `DURATION`")
	f.StringArrayVar(&o.claims, "claim", nil, "add a claim: `NAME=VALUE` for a string, or NAME:=VALUE for JSON (repeatable)")
	f.StringVar(&o.issuer, "issuer", "", "`ISSUER` of the token: the claim iss (default: the gateway's AUTH_ISSUER)")
	f.StringVar(&o.audience, "audience", "", "`AUDIENCE` of the token: the claim aud (default: the gateway's AUTH_AUDIENCE)")
	f.StringVar(&o.secretFile, "secret-file", "", "sign with the secret in `FILE`, whether it is for development or not; - is standard input")
	f.StringVar(&o.gateway, "gateway", "", "`NAME` of the gateway, if the workspace has several")
	f.BoolVar(&o.isPrincipal, "principal", false, "print the signed metadata of a message instead of a token")
	f.BoolVar(&o.isAPIKey, "api-key", false, "create an API key for the program --sub instead of a token")
	command.OutputFlag(f, &o.output, "output `FORMAT`: json", command.JSON)
	command.GroupFlags(cmd, "Caller", "sub", "scope", "role", "claim")
	command.GroupFlags(cmd, "Token", "expires", "issuer", "audience", "secret-file", "gateway")
	complete := func(_ *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return command.CompleteGateways(typed), cobra.ShellCompDirectiveNoFileComp
	}
	if err := cmd.RegisterFlagCompletionFunc("gateway", complete); err != nil {
		panic(err) // the flag exists
	}
	return cmd
}

// check parses the claims and reports flags that cannot be combined.
func (o *tokenOptions) check(cmd *cobra.Command) error {
	excluded := map[string][]string{
		"api-key":   {"principal", "claim", "expires", "issuer", "audience", "secret-file", "gateway"},
		"principal": {"audience"},
	}
	for _, flag := range []string{"api-key", "principal"} {
		for _, other := range excluded[flag] {
			if cmd.Flags().Changed(flag) && cmd.Flags().Changed(other) {
				return exit.Usagef("--%s cannot be combined with --%s", flag, other)
			}
		}
	}
	switch {
	case o.isAPIKey && !cmd.Flags().Changed("sub"):
		return exit.Usagef("--api-key requires --sub, the name of the program")
	case o.expires < time.Second:
		return exit.Usagef("--expires must be at least 1s")
	}
	return o.parseClaims()
}

// parseClaims converts --claim. A name may contain dots, as those of some issuers do.
func (o *tokenOptions) parseClaims() error {
	if len(o.claims) == 0 {
		return nil
	}
	claims := map[string]json.RawMessage{}
	for _, text := range o.claims {
		name, value, ok := strings.Cut(text, "=")
		name, isJSON := strings.CutSuffix(name, ":")
		if !ok || name == "" {
			return exit.Usagef("--claim %q: must be NAME=VALUE or NAME:=JSON", secret.Malformed(text))
		}
		if _, twice := claims[name]; twice {
			return exit.Usagef("--claim: duplicate claim %s", name)
		}
		switch {
		case !isJSON:
			quoted, err := json.Marshal(value)
			if err != nil {
				return exit.Usagef("--claim %s: %w", name, err)
			}
			claims[name] = quoted
		case !json.Valid([]byte(value)):
			return exit.Usagef("--claim %s: the value after := must be JSON", name)
		default:
			claims[name] = json.RawMessage(value)
		}
	}
	var err error
	o.caller.Claims, err = json.Marshal(claims)
	return err
}

// runToken prints a token, or a signed principal.
func runToken(s *term.IO, o tokenOptions) error {
	settings, err := o.settings(s)
	if err != nil {
		return err
	}
	expires := time.Now().Add(o.expires)
	o.caller.Expires = expires
	var text string
	if o.isPrincipal {
		o.caller.Issuer = settings.issuer
		var key *principal.Key
		if key, err = principal.NewKey([]byte(settings.secret)); err == nil {
			text, err = key.WithLifetime(o.expires).Sign(&o.caller)
		}
	} else {
		text, err = auth.TokenConfig{
			Issuer: settings.issuer, Audience: settings.audience, RolesClaim: settings.rolesClaim, Secrets: [][]byte{[]byte(settings.secret)},
		}.Sign(&o.caller)
	}
	if err != nil {
		return err
	}
	if o.output == "" {
		_, err := fmt.Fprintln(s.Out, text)
		return err
	}
	answer, err := json.Marshal(struct {
		Token   string    `json:"token"`
		Expires time.Time `json:"expires"`
	}{text, expires.UTC().Truncate(time.Second)})
	if err != nil {
		return err
	}
	return s.PrintJSON(term.JSONAuto, answer)
}

// runAPIKey prints a new API key, and its entry in API_KEYS_FILE.
func runAPIKey(s *term.IO, o tokenOptions) error {
	prefix := "key"
	w, err := workspace.Current()
	if err != nil {
		return err
	}
	if w != nil {
		prefix = strings.ReplaceAll(w.Name, "-", "_")
	}
	key, hash := auth.NewAPIKey(prefix)
	entry := auth.APIKey{Name: o.caller.Subject, SHA256: hash, Scopes: o.caller.Scopes, Roles: o.caller.Roles}
	if o.output == "json" {
		text, err := json.Marshal(struct {
			Key   string      `json:"key"`
			Entry auth.APIKey `json:"entry"`
		}{key, entry})
		if err != nil {
			return err
		}
		return s.PrintJSON(term.JSONAuto, text)
	}
	text, err := json.Marshal(entry)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(s.Out, key); err != nil {
		return err
	}
	s.Notef("add this to the list in the gateway's API_KEYS_FILE:\n%s", text)
	return nil
}
