package target

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/nearest"
)

// params are the options behind the ? of a broker's address, under NestJS' names:
// bool, int or string, as the option is.
type Parameters map[string]any

// paramType is what an option's value is.
type paramType int

const (
	paramBool paramType = iota
	paramInt
	paramText
)

// paramsOf lists the options of a kind of broker.
func paramsOf(k Kind) map[string]paramType {
	switch k {
	case RabbitMQ:
		return map[string]paramType{
			"durable": paramBool, "exclusive": paramBool, "autoDelete": paramBool, "noAssert": paramBool,
			"messageTtl": paramInt, "expires": paramInt, "maxLength": paramInt, "maxPriority": paramInt,
			"deadLetterExchange": paramText, "deadLetterRoutingKey": paramText,
			"exchange": paramText, "exchangeType": paramText, "routingKey": paramText, "wildcards": paramBool,
			"persistent": paramBool, "replyQueue": paramText,
			"noAck": paramBool, "prefetchCount": paramInt, "isGlobalPrefetchCount": paramBool, "consumerTag": paramText,
		}
	case NATS:
		return map[string]paramType{"queue": paramText, "inboxPrefix": paramText}
	case Redis:
		return map[string]paramType{"wildcards": paramBool}
	}
	return nil
}

// queueParams are those of a queue itself, which only they who declare it need.
func QueueParams() []string {
	return []string{"durable", "exclusive", "autoDelete", "messageTtl", "expires", "maxLength", "maxPriority", "deadLetterExchange", "deadLetterRoutingKey"}
}

// exchangeTypes are those that RabbitMQ has without plugins.
func exchangeTypes() []string { return []string{"topic", "direct", "fanout", "headers"} }

// parseParams reads the options.
func parseParams(k Kind, query string) (Parameters, error) {
	if query == "" {
		return nil, nil
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, exit.WithHint(errors.New("the options behind the ? cannot be read"), "they are OPTION=VALUE, with & between them")
	}
	p := Parameters{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if len(values[name]) > 1 {
			return nil, fmt.Errorf("the option %s is there twice", name)
		}
		if p[name], err = parseParam(k, name, values[name][0]); err != nil {
			return nil, err
		}
	}
	return p, p.check()
}

func parseParam(k Kind, name, text string) (any, error) {
	known, ok := paramsOf(k)[name]
	switch {
	case !ok && k == RabbitMQ && strings.HasPrefix(name, "x-"):
		return argument(text), nil
	case !ok:
		return nil, unknownParam(k, name)
	case known == paramText && text == "":
		return nil, fmt.Errorf("the option %s has no value", name)
	case known == paramText:
		return text, nil
	case known == paramInt:
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("the option %s=%s is not a whole number of 0 or more", name, text)
		}
		return n, nil
	case text == "true" || text == "": // as a flag that stands alone
		return true, nil
	case text == "false":
		return false, nil
	}
	return nil, fmt.Errorf("the option %s=%s is not true or false", name, text)
}

// argument is the value of a queue's argument: a number or a truth value where it
// looks like one.
func argument(text string) any {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return int(n)
	}
	if b, err := strconv.ParseBool(text); err == nil && (text == "true" || text == "false") {
		return b
	}
	return text
}

func unknownParam(k Kind, name string) error {
	names := slices.Sorted(maps.Keys(paramsOf(k)))
	err := fmt.Errorf("%s has no option %q", k, name)
	if near := nearest.Word(name, names); near != "" {
		return exit.WithHint(err, "did you mean %s?", near)
	}
	return exit.WithHint(err, "it has %s", strings.Join(names, ", "))
}

// check checks the options against each other.
func (p Parameters) check() error {
	if t := p.Text("exchangeType"); t != "" && !slices.Contains(exchangeTypes(), t) && !strings.HasPrefix(t, "x-") {
		return exit.WithHint(fmt.Errorf("the option exchangeType=%s is not known", t), "use %s", strings.Join(exchangeTypes(), ", "))
	}
	if p.IsSet("exchangeType") && !p.IsSet("exchange") && !p.Flag("wildcards") {
		return errors.New("the option exchangeType goes with exchange")
	}
	if p.Flag("noAssert") {
		for _, name := range QueueParams() {
			if p.IsSet(name) {
				return fmt.Errorf("the option %s is for a queue that is asserted: leave it out, or noAssert", name)
			}
		}
	}
	return nil
}

func (p Parameters) IsSet(name string) bool { return p[name] != nil }

// flag is a truth value, false where it is not set.
func (p Parameters) Flag(name string) bool { v, _ := p[name].(bool); return v }

// truth is a truth value, nil where it is not set.
func (p Parameters) Truth(name string) *bool {
	v, ok := p[name].(bool)
	if !ok {
		return nil
	}
	return &v
}

func (p Parameters) Number(name string) int { v, _ := p[name].(int); return v }

func (p Parameters) Text(name string) string { v, _ := p[name].(string); return v }

// arguments are the x-… of a queue; nil for none.
func (p Parameters) Arguments() map[string]any {
	var list map[string]any
	for name, v := range p {
		if strings.HasPrefix(name, "x-") {
			if list == nil {
				list = map[string]any{}
			}
			list[name] = v
		}
	}
	return list
}

// asserts reports whether a client declares the queue before it sends: only when
// it is told how, since what is there already is what the service declared.
func (p Parameters) Asserts() bool {
	told := slices.ContainsFunc(QueueParams(), p.IsSet) || p.Arguments() != nil
	return told || p.IsSet("noAssert") && !p.Flag("noAssert")
}

// withoutQueue reports whether messages go to an exchange alone.
func (p Parameters) WithoutQueue() bool {
	return p.IsSet("exchange") && (p.Flag("wildcards") || p.Text("exchangeType") == "fanout")
}

// ownParams leaves out of a query what is for other programs, such as heartbeat.
func ownParams(k Kind, query string) string {
	var own []string
	for one := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(one, "=")
		if _, ok := paramsOf(k)[name]; ok || k == RabbitMQ && strings.HasPrefix(name, "x-") {
			own = append(own, one)
		}
	}
	return strings.Join(own, "&")
}
