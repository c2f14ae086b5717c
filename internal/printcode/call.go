// Package printcode prints a call as Go, TypeScript, or curl, and a policy as Go or
// TypeScript.
package printcode

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/secret"
	"github.com/msctl/msctl/internal/shorthand"
	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/internal/term/visible"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
	"github.com/msctl/msctl/runtime/policy"
	"github.com/msctl/msctl/runtime/wire"
)

// Call is a message to print as code.
type Call struct {
	Target   target.Target
	Pattern  micro.Pattern
	Data     json.RawMessage // the payload
	Event    bool            // whether no reply is expected
	Metadata micro.Metadata
	// NoMetadata has the client add no metadata of its own.
	NoMetadata bool
	// MaxBuffer is the largest reply over TCP, in UTF-16 code units; 0 for the default.
	MaxBuffer int
	Policy    policy.Settings // timeout, retries, backoff, and jitter
	// Secrets are the credentials that have been looked up. The code reads all
	// credentials from the environment.
	Secrets *secret.Set
}

// variables returns the replacement of the call's credentials.
func (c Call) variables() *secret.Variables { return &secret.Variables{Known: c.Secrets} }

// WriteCall writes a call as code: TypeScript for @nestjs/microservices ("nest"), a program
// on msctl's runtime ("go"), or a shell command ("curl"). A call that the language cannot
// express is a usage error.
func WriteCall(w io.Writer, language string, c Call) error {
	c.Data = visible.JSON(c.Data)
	var text string
	var err error
	switch language {
	case "nest":
		text, err = nestCode(c)
	case "go":
		text, err = goCode(c)
	case "curl":
		text, err = curlCode(c)
	default:
		return exit.Usagef("unknown --print-code %q: use nest, go, or curl", language)
	}
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, text)
	return err
}

// hasMetadata reports whether the call sets metadata.
func (c Call) hasMetadata() bool {
	for range c.Metadata.All() {
		return true
	}
	return false
}

// nestCode returns TypeScript for @nestjs/microservices. JSON is a literal in it.
func nestCode(c Call) (string, error) {
	if c.hasMetadata() {
		return "", exit.WithHint(exit.Usagef("--print-code nest does not support --meta: NestJS clients cannot send metadata"), "use --print-code go")
	}
	if !c.Event {
		if err := nestUnable(c.Policy, "--print-code go"); err != nil {
			return "", err
		}
	}
	data := c.variables().JSON(string(c.Data), func(variable string) string { return "process.env." + variable })
	transport, options := nestTransport(c.Target)
	if c.MaxBuffer > 0 {
		options += ", maxBufferSize: " + strconv.Itoa(c.MaxBuffer)
	}
	operators, rxjs := nestOperators(c.Policy)
	note := "// Unlike `msctl send`, RxJS restarts the timeout with each value of the reply"
	if c.Policy.Retries > 0 {
		note += ", and retries on any error, even after a value"
	}
	call := fmt.Sprintf(note+".\nconst answer = await lastValueFrom(\n  client.send(%s, %s)%s,\n  { defaultValue: undefined },\n);\nconsole.log(JSON.stringify(answer));\n",
		c.Pattern.JSON(), data, operators)
	if c.Event {
		rxjs = []string{"lastValueFrom"}
		call = fmt.Sprintf("await lastValueFrom(client.emit(%s, %s), { defaultValue: undefined });\n", c.Pattern.JSON(), data)
	}
	return nestNATSImports(c.Target) + fmt.Sprintf("import { ClientProxyFactory, Transport } from '@nestjs/microservices';\nimport { %s } from 'rxjs';\n\n"+
		"const client = ClientProxyFactory.create({\n  transport: Transport.%s,\n  options: { %s },\n});\n%sawait client.close();\n",
		strings.Join(rxjs, ", "), transport, options, call), nil
}

// nestTransport returns NestJS's name of a target's transport, and its options.
func nestTransport(t target.Target) (name, options string) {
	if t.Broker != nil {
		return nestBroker(t)
	}
	host, port := t.FirstHostPort()
	options = fmt.Sprintf("host: %s, port: %s", quote(host), port)
	if target.IsSocket(port) {
		options = "port: " + quote(port) + " as any" // NestJS passes it on to Node.js, which accepts a path
	}
	if t.Encrypted() {
		options += ", tlsOptions: {}"
	}
	return "TCP", options
}

// nestOperators returns the policy as RxJS operators, and the imports that they require.
func nestOperators(p policy.Settings) (text string, rxjs []string) {
	rxjs = []string{"lastValueFrom", "timeout"}
	text = fmt.Sprintf(".pipe(timeout(%d)", p.Timeout.Milliseconds())
	if p.Retries > 0 {
		rxjs = append(rxjs, "retry")
		delay := fmt.Sprint(p.Backoff.Delay.Milliseconds())
		if p.Backoff.Factor > 1 || p.Jitter != policy.NoJitter {
			rxjs = append(rxjs, "timer")
			if p.Backoff.Factor > 1 {
				delay += " * " + number(p.Backoff.Factor) + " ** (n - 1)"
			}
			switch p.Jitter {
			case policy.FullJitter:
				delay += " * Math.random()"
			case policy.EqualJitter:
				delay += " * (1 + Math.random()) / 2"
			}
			delay = "(_, n) => timer(" + delay + ")"
		}
		text += fmt.Sprintf(", retry({ count: %d, delay: %s })", p.Retries, delay)
	}
	slices.Sort(rxjs)
	return text + ")", rxjs
}

// curlCode sends the frame with curl's telnet protocol, which does not change bytes. curl
// waits for more output until its timeout, and ends with exit code 28.
func curlCode(c Call) (string, error) {
	if c.Target.Broker != nil {
		return "", exit.WithHint(exit.Usagef("--print-code curl does not support %s", c.Target.Kind()), "use --print-code go or nest")
	}
	if target.IsSocket(c.Target.Addresses[0]) {
		return "", exit.WithHint(exit.Usagef("--print-code curl does not support Unix sockets"), "use --print-code go or nest")
	}
	if c.Target.Scheme == target.SchemeTLS {
		return "", exit.WithHint(exit.Usagef("--print-code curl does not support TLS"), "use --print-code go or nest")
	}
	req := &micro.Request{Metadata: c.Metadata}
	var extra []byte
	if c.hasMetadata() {
		extra = micro.AppendMetadata(nil, req, time.Now())
	}
	packet := wire.AppendRequest(nil, c.Pattern.JSON(), c.Data, extra, []byte(`"1"`))
	if c.Event {
		packet = wire.AppendRequest(nil, c.Pattern.RouteJSON(), c.Data, extra, nil)
	}
	before, frame := "", shorthand.Quote(string(microtcp.AppendFrame(nil, packet)))
	if text, found := c.shellPacket(packet); found { // the length depends on the values
		before, frame = "packet="+text+"\n", `"${#packet}#$packet"`
	}
	return fmt.Sprintf("%sprintf %%s %s |\n  curl --silent --no-buffer --max-time %s telnet://%s\n",
		before, frame, strconv.FormatFloat(c.Policy.Timeout.Seconds(), 'f', -1, 64), c.Target.Addresses[0]), nil
}

// shellPacket returns a packet, quoted for a shell, with variables for the credentials.
func (c Call) shellPacket(packet []byte) (text string, found bool) {
	const mark = "\x00" // cannot be part of JSON
	variables := c.variables()
	text = shorthand.Quote(variables.JSON(string(packet), func(name string) string { return `"` + mark + name + mark + `"` }))
	for _, name := range variables.Names() {
		text = strings.ReplaceAll(text, mark+name+mark, `'"$`+name+`"'`)
	}
	return text, len(variables.Names()) > 0
}

// quote returns text as a JSON string, which is also a string in TypeScript.
func quote(text string) string { return micro.Name(text).RouteJSON() }
