package cli

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/msctl/msctl/internal/nearest"
)

// params are the options behind the ? of a broker's address, under NestJS' names:
// bool, int or string, as the option is.
type params map[string]any

// paramType is what an option's value is.
type paramType int

const (
	paramBool paramType = iota
	paramInt
	paramText
)

// paramsOf lists the options of a kind of broker.
func paramsOf(k kind) map[string]paramType {
	switch k {
	case rabbitMQ:
		return map[string]paramType{
			"durable": paramBool, "exclusive": paramBool, "autoDelete": paramBool, "noAssert": paramBool,
			"messageTtl": paramInt, "expires": paramInt, "maxLength": paramInt, "maxPriority": paramInt,
			"deadLetterExchange": paramText, "deadLetterRoutingKey": paramText,
			"exchange": paramText, "exchangeType": paramText, "routingKey": paramText, "wildcards": paramBool,
			"persistent": paramBool, "replyQueue": paramText,
			"noAck": paramBool, "prefetchCount": paramInt, "isGlobalPrefetchCount": paramBool, "consumerTag": paramText,
		}
	case natsIO:
		return map[string]paramType{"queue": paramText, "inboxPrefix": paramText}
	case redisKV:
		return map[string]paramType{"wildcards": paramBool}
	}
	return nil
}

// queueParams are those of a queue itself, which only they who declare it need.
func queueParams() []string {
	return []string{"durable", "exclusive", "autoDelete", "messageTtl", "expires", "maxLength", "maxPriority", "deadLetterExchange", "deadLetterRoutingKey"}
}

// exchangeTypes are those that RabbitMQ has without plugins.
func exchangeTypes() []string { return []string{"topic", "direct", "fanout", "headers"} }

// parseParams reads the options.
func parseParams(k kind, query string) (params, error) {
	if query == "" {
		return nil, nil
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, withHint(errors.New("the options behind the ? cannot be read"), "they are OPTION=VALUE, with & between them")
	}
	p := params{}
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

func parseParam(k kind, name, text string) (any, error) {
	known, ok := paramsOf(k)[name]
	switch {
	case !ok && k == rabbitMQ && strings.HasPrefix(name, "x-"):
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

func unknownParam(k kind, name string) error {
	names := slices.Sorted(maps.Keys(paramsOf(k)))
	err := fmt.Errorf("%s has no option %q", k, name)
	if near := nearest.Word(name, names); near != "" {
		return withHint(err, "did you mean %s?", near)
	}
	return withHint(err, "it has %s", strings.Join(names, ", "))
}

// check checks the options against each other.
func (p params) check() error {
	if t := p.text("exchangeType"); t != "" && !slices.Contains(exchangeTypes(), t) && !strings.HasPrefix(t, "x-") {
		return withHint(fmt.Errorf("the option exchangeType=%s is not known", t), "use %s", strings.Join(exchangeTypes(), ", "))
	}
	if p.isSet("exchangeType") && !p.isSet("exchange") && !p.flag("wildcards") {
		return errors.New("the option exchangeType goes with exchange")
	}
	if p.flag("noAssert") {
		for _, name := range queueParams() {
			if p.isSet(name) {
				return fmt.Errorf("the option %s is for a queue that is asserted: leave it out, or noAssert", name)
			}
		}
	}
	return nil
}

func (p params) isSet(name string) bool { return p[name] != nil }

// flag is a truth value, false where it is not set.
func (p params) flag(name string) bool { v, _ := p[name].(bool); return v }

// truth is a truth value, nil where it is not set.
func (p params) truth(name string) *bool {
	v, ok := p[name].(bool)
	if !ok {
		return nil
	}
	return &v
}

func (p params) number(name string) int { v, _ := p[name].(int); return v }

func (p params) text(name string) string { v, _ := p[name].(string); return v }

// arguments are the x-… of a queue; nil for none.
func (p params) arguments() map[string]any {
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
func (p params) asserts() bool {
	told := slices.ContainsFunc(queueParams(), p.isSet) || p.arguments() != nil
	return told || p.isSet("noAssert") && !p.flag("noAssert")
}

// withoutQueue reports whether messages go to an exchange alone.
func (p params) withoutQueue() bool {
	return p.isSet("exchange") && (p.flag("wildcards") || p.text("exchangeType") == "fanout")
}

// ownParams leaves out of a query what is for other programs, such as heartbeat.
func ownParams(k kind, query string) string {
	var own []string
	for one := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(one, "=")
		if _, ok := paramsOf(k)[name]; ok || k == rabbitMQ && strings.HasPrefix(name, "x-") {
			own = append(own, one)
		}
	}
	return strings.Join(own, "&")
}
