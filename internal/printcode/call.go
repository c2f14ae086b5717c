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
	"github.com/msctl/msctl/internal/target"
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
	Policy   policy.Settings // timeout, retries, backoff, and jitter
}

// callLanguages lists what printCall can write.
func CallLanguages() []string { return []string{"nest", "go", "curl"} }

// printCall writes a call as code: "nest" is TypeScript for @nestjs/microservices,
// "go" a program on msctl's runtime, and "curl" a shell command. What a language
// cannot express is a usage error.
func WriteCall(w io.Writer, language string, c Call) error {
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
		return exit.Usagef("unknown --print-code %q: use nest, go or curl", language)
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

// nestCode is TypeScript for @nestjs/microservices. JSON is a literal there.
func nestCode(c Call) (string, error) {
	if c.hasMetadata() {
		return "", exit.WithHint(exit.Usagef("NestJS has no call that takes metadata"), "--print-code go can")
	}
	transport, options := nestTransport(c.Target)
	operators, rxjs := nestOperators(c.Policy)
	call := fmt.Sprintf("const answer = await lastValueFrom(\n  client.send(%s, %s)%s,\n  { defaultValue: undefined },\n);\nconsole.log(JSON.stringify(answer));\n",
		c.Pattern.JSON(), c.Data, operators)
	if c.Event {
		rxjs = []string{"lastValueFrom"}
		call = fmt.Sprintf("await lastValueFrom(client.emit(%s, %s), { defaultValue: undefined });\n", c.Pattern.JSON(), c.Data)
	}
	return fmt.Sprintf("import { ClientProxyFactory, Transport } from '@nestjs/microservices';\nimport { %s } from 'rxjs';\n\n"+
		"const client = ClientProxyFactory.create({\n  transport: Transport.%s,\n  options: { %s },\n});\n%sawait client.close();\n",
		strings.Join(rxjs, ", "), transport, options, call), nil
}

// nestTransport is NestJS' name of a target's transport, and its options.
func nestTransport(t target.Target) (name, options string) {
	if t.Broker != nil {
		return nestBroker(t)
	}
	host, port := t.FirstHostPort()
	options = fmt.Sprintf("host: %s, port: %s", quote(host), port)
	if t.Scheme == target.SchemeTLS {
		options += ", tlsOptions: {}"
	}
	return "TCP", options
}

// nestOperators is the policy as rxjs operators, and what they need of rxjs.
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

// curlCode sends the frame through curl's telnet protocol, which passes bytes on
// as they are. curl waits for more until its time is up: its exit code is 28.
func curlCode(c Call) (string, error) {
	if c.Target.Broker != nil {
		return "", exit.WithHint(exit.Usagef("curl cannot speak to %s", c.Target.Kind()), "--print-code go and nest can")
	}
	if c.Target.Scheme == target.SchemeTLS {
		return "", exit.WithHint(exit.Usagef("curl cannot send a frame over TLS"), "--print-code go and nest can")
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
	frame := string(microtcp.AppendFrame(nil, packet))
	return fmt.Sprintf("printf %%s %s |\n  curl --silent --no-buffer --max-time %s telnet://%s\n",
		ShellQuote(frame), strconv.FormatFloat(c.Policy.Timeout.Seconds(), 'f', -1, 64), c.Target.Addresses[0]), nil
}

// shellQuote keeps a text together and unchanged in a POSIX shell.
func ShellQuote(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// quote returns text as a JSON string, which is also a string in TypeScript.
func quote(text string) string { return micro.Name(text).RouteJSON() }
