package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/term"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
)

// printCode writes the same call as code: --print-code.
func printCode(ctx context.Context, s *term.IO, o sendOptions, t target) error {
	if t.scheme == "" {
		t, _ = parseTarget(ctx, defaultTarget) // nobody could be asked
	}
	var text string
	var err error
	switch o.printCode {
	case "nest":
		text, err = nestCode(o, t)
	case "go":
		text, err = goCode(o, t)
	case "curl":
		text, err = curlCode(o, t)
	default:
		return usagef("unknown --print-code %q: use nest, go or curl", o.printCode)
	}
	if err != nil {
		return err
	}
	_, err = io.WriteString(s.Out, text)
	return err
}

func (t target) firstHostPort() (host, port string) {
	first := t.addresses[0]
	i := strings.LastIndexByte(first, ':')
	return strings.Trim(first[:i], "[]"), first[i+1:]
}

// nestCode is TypeScript for @nestjs/microservices. JSON is a literal there.
func nestCode(o sendOptions, t target) (string, error) {
	if len(o.meta) > 0 {
		return "", withHint(usagef("NestJS has no call that takes metadata"), "--print-code go can")
	}
	transport, options := nestTransport(t)
	operators, rxjs := nestOperators(o.policy)
	call := fmt.Sprintf("const answer = await lastValueFrom(\n  client.send(%s, %s)%s,\n  { defaultValue: undefined },\n);\nconsole.log(JSON.stringify(answer));\n",
		o.pattern.JSON(), o.data, operators)
	if o.event {
		rxjs = []string{"lastValueFrom"}
		call = fmt.Sprintf("await lastValueFrom(client.emit(%s, %s), { defaultValue: undefined });\n", o.pattern.JSON(), o.data)
	}
	return fmt.Sprintf("import { ClientProxyFactory, Transport } from '@nestjs/microservices';\nimport { %s } from 'rxjs';\n\n"+
		"const client = ClientProxyFactory.create({\n  transport: Transport.%s,\n  options: { %s },\n});\n%sawait client.close();\n",
		strings.Join(rxjs, ", "), transport, options, call), nil
}

// nestTransport is NestJS' name of a target's transport, and its options.
func nestTransport(t target) (name, options string) {
	if t.broker != nil {
		return nestBroker(t)
	}
	host, port := t.firstHostPort()
	options = fmt.Sprintf("host: %s, port: %s", quoteJSON(host), port)
	if t.scheme == schemeTLS {
		options += ", tlsOptions: {}"
	}
	return "TCP", options
}

// nestOperators is the policy as rxjs operators, and what they need of rxjs.
func nestOperators(p policyFlags) (text string, rxjs []string) {
	rxjs = []string{"lastValueFrom", "timeout"}
	text = fmt.Sprintf(".pipe(timeout(%d)", p.timeout.Milliseconds())
	if p.retries > 0 {
		rxjs = append(rxjs, "retry")
		delay := fmt.Sprint(p.delay.Milliseconds())
		if p.backoff == "exponential" || p.jitter != "none" {
			rxjs = append(rxjs, "timer")
			if p.backoff == "exponential" {
				delay += " * 2 ** (n - 1)"
			}
			switch p.jitter {
			case "full":
				delay += " * Math.random()"
			case "equal":
				delay += " * (1 + Math.random()) / 2"
			}
			delay = "(_, n) => timer(" + delay + ")"
		}
		text += fmt.Sprintf(", retry({ count: %d, delay: %s })", p.retries, delay)
	}
	slices.Sort(rxjs)
	return text + ")", rxjs
}

// curlCode sends the frame through curl's telnet protocol, which passes bytes on
// as they are. curl waits for more until its time is up: its exit code is 28.
func curlCode(o sendOptions, t target) (string, error) {
	if t.broker != nil {
		return "", withHint(usagef("curl cannot speak to %s", t.broker.kind), "--print-code go and nest can")
	}
	if t.scheme == schemeTLS {
		return "", withHint(usagef("curl cannot send a frame over TLS"), "--print-code go and nest can")
	}
	metadata, err := o.metadata()
	if err != nil {
		return "", err
	}
	req := &micro.Request{Metadata: metadata}
	var extra []byte
	if len(o.meta) > 0 {
		extra = micro.AppendMetadata(nil, req, time.Now())
	}
	packet := micro.AppendRequest(nil, o.pattern.JSON(), o.data, extra, []byte(`"1"`))
	if o.event {
		packet = micro.AppendRequest(nil, o.pattern.RouteJSON(), o.data, extra, nil)
	}
	frame := string(microtcp.AppendFrame(nil, packet))
	return fmt.Sprintf("printf %%s %s |\n  curl --silent --no-buffer --max-time %s telnet://%s\n",
		shellQuote(frame), strconv.FormatFloat(o.policy.timeout.Seconds(), 'f', -1, 64), t.addresses[0]), nil
}

// shellQuote keeps a text together and unchanged in a POSIX shell.
func shellQuote(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
