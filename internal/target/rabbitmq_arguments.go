package target

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/msctl/msctl/internal/exit"
)

// The options that are arguments of a queue or an exchange. NestJS has them as objects:
// queueOptions.arguments and exchangeArguments.
const (
	queueArgument    = "arguments."         // followed by the name; x-… is enough
	exchangeArgument = "exchangeArguments." // followed by the name
)

// namedArguments are NestJS's names for arguments of a queue.
func namedArguments() map[string]string {
	return map[string]string{
		"messageTtl": "x-message-ttl", "expires": "x-expires", "maxLength": "x-max-length", "maxPriority": "x-max-priority",
		"deadLetterExchange": "x-dead-letter-exchange", "deadLetterRoutingKey": "x-dead-letter-routing-key",
		"overflow": "x-overflow", "queueMode": "x-queue-mode",
	}
}

// isArgument reports whether an option is an argument, or all arguments as an object.
func isArgument(name string) bool {
	for _, prefix := range []string{"x-", queueArgument, exchangeArgument} {
		if len(name) > len(prefix) && strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return name+"." == queueArgument || name+"." == exchangeArgument
}

// ofExchange reports whether an argument is one of the exchange.
func ofExchange(name string) bool { return strings.HasPrefix(name+".", exchangeArgument) }

// argument parses the value of an argument. JSON has its type: a number, true, null, a list,
// an object, or a string in quotes. Everything else is a string.
func argument(name, text string) (any, error) {
	value := argumentValue(text)
	if name+"." != queueArgument && name+"." != exchangeArgument {
		return value, nil
	}
	if _, ok := value.(map[string]any); !ok {
		return nil, exit.WithHint(fmt.Errorf("invalid option %s: must be a JSON object", name), `write %s={"NAME":VALUE}, or %s.NAME=VALUE`, name, name)
	}
	return value, nil
}

func argumentValue(text string) any {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil || decoder.InputOffset() != int64(len(text)) {
		return text
	}
	value, err := amqpValue(value)
	if err != nil {
		return text
	}
	return value
}

// amqpValue converts numbers to AMQP's: an integer, or a double if there is a decimal point
// or an exponent.
func amqpValue(v any) (_ any, err error) {
	switch v := v.(type) {
	case json.Number:
		if n, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			return n, nil
		}
		if !strings.ContainsAny(v.String(), ".eE") {
			return nil, errors.New("the integer has more than 64 bits")
		}
		return v.Float64()
	case []any:
		for i := range v {
			if v[i], err = amqpValue(v[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for name := range v {
			if v[name], err = amqpValue(v[name]); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

// argumentText is the inverse of argument for a string.
func argumentText(text string) string {
	if _, same := argumentValue(text).(string); same && argumentValue(text) == text {
		return text
	}
	quoted, err := json.Marshal(text)
	if err != nil { // never for a string
		return text
	}
	return string(quoted)
}

// Arguments returns the arguments of the queue that have no name in NestJS; nil for none.
func (p Parameters) Arguments() map[string]any {
	list := map[string]any{}
	for name, v := range p {
		if !isArgument(name) || ofExchange(name) {
			continue
		}
		addArgument(list, strings.TrimPrefix(name, queueArgument), v)
	}
	return orNil(list)
}

// ExchangeArguments returns the arguments of the exchange; nil for none.
func (p Parameters) ExchangeArguments() map[string]any {
	list := map[string]any{}
	for name, v := range p {
		if ofExchange(name) {
			addArgument(list, strings.TrimPrefix(name, exchangeArgument), v)
		}
	}
	return orNil(list)
}

// addArgument adds one argument, or all members of an object of arguments.
func addArgument(list map[string]any, name string, v any) {
	all, ok := v.(map[string]any)
	if !ok || name+"." != queueArgument && name+"." != exchangeArgument {
		list[name] = v
		return
	}
	for name, v := range all {
		if _, single := list[name]; !single { // a single one overrides it
			list[name] = v
		}
	}
}

func orNil(list map[string]any) map[string]any {
	if len(list) == 0 {
		return nil
	}
	return list
}

// queueArguments returns all arguments of the queue.
func (p Parameters) queueArguments() map[string]any {
	list := map[string]any{}
	for name, argument := range namedArguments() {
		if p.IsSet(name) {
			list[argument] = p[name]
		}
	}
	for name, v := range p.Arguments() {
		list[name] = v
	}
	return orNil(list)
}
