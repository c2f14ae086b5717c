package interop_test

import (
	"encoding/json"
	"path"
	"strings"

	"github.com/msctl/msctl/internal/test/testenv"
)

// scenario is one message, with what its caller observes and the handlers that run.
type scenario struct {
	name string
	call testenv.Call
	want []string // in the format of conformance.Observe
	runs []string // pattern#handler data, in any order
	but  []exception
}

// exception is an outcome that differs in some places. where is a path.Match pattern for client-server/broker/version.
type exception struct {
	where string
	why   string
	want  []string
	runs  []string
}

// at returns the expected outcome in one place.
func (s scenario) at(where string) (want, runs []string) {
	for _, e := range s.but {
		if ok, err := path.Match(e.where, where); err != nil {
			panic(err)
		} else if ok {
			return e.want, e.runs
		}
	}
	return s.want, s.runs
}

func send(pattern, data string) testenv.Call {
	return testenv.Call{Pattern: json.RawMessage(pattern), Data: json.RawMessage(data)}
}

func emit(pattern, data string) testenv.Call {
	return testenv.Call{Pattern: json.RawMessage(pattern), Data: json.RawMessage(data), Emit: true}
}

// values returns the lines of a complete answer.
func values(texts ...string) []string {
	var lines []string
	for _, text := range texts {
		lines = append(lines, `{"next":`+text+`}`)
	}
	return append(lines, `{"complete":true}`)
}

// fails returns the lines of an answer that ends with an error.
func fails(payload string, before ...string) []string {
	lines := values(before...)
	return append(lines[:len(before)], `{"error":`+payload+`}`)
}

const (
	internalError = `{"status":"error","message":"Internal server error"}`
	noHandler     = `"There is no matching message handler defined in the remote service."`
	timedOut      = `{"name":"TimeoutError","message":"Timeout has occurred"}`
	notServed     = `"not served"` // micro.ErrNotServed
	tooLarge      = `"too large"`  // micronats.ErrTooLarge

	// slowly makes the values of a stream so rare that NestJS 10 loses none: it loses a value that follows while an earlier
	// one is being sent to the broker (docs/transports.md).
	slowly = `{"n":5,"delay":100}`
)

var (
	emitted = []string{`{"emitted":true}`}
	million = `"` + strings.Repeat("z", 1_000_000) + `"`
	mebi    = `"` + strings.Repeat("é", 1<<19) + `"`
)

// Places and reasons of exceptions in several scenarios.
const (
	oursToNest = "msctl-nest/*/*"
	nestOnNATS = "nest-*/nats/*"
	maxPayload = "the limit of the broker is 1 MiB (max_payload); the call fails immediately"
)

// scenarios returns the messages for every broker.
func scenarios() []scenario {
	return append(append(append(answers(), failures()...), events()...), larger()...)
}

func answers() []scenario {
	undefined := []string{`{"cmd":"streamUndefined"}#1 1`}
	return []scenario{
		{name: "value", call: send(`{"cmd":"echo"}`, `{"a":[1,"x",null,true,1.5,{}],"b":""}`),
			want: values(`{"a":[1,"x",null,true,1.5,{}],"b":""}`), runs: []string{`{"cmd":"echo"}#1 {"a":[1,"x",null,true,1.5,{}],"b":""}`}},
		{name: "string pattern", call: send(`"math.sum"`, `[1,2,3]`), want: values("6"), runs: []string{`"math.sum"#1 [1,2,3]`}},
		{name: "null", call: send(`{"cmd":"returnNull"}`, `1`), want: values("null"), runs: []string{`{"cmd":"returnNull"}#1 1`}},
		{name: "undefined", call: send(`{"cmd":"returnUndefined"}`, `1`), want: values(), runs: []string{`{"cmd":"returnUndefined"}#1 1`}},
		{name: "false is data", call: send(`{"cmd":"echo"}`, `false`), want: values("false"), runs: []string{`{"cmd":"echo"}#1 false`}},
		{name: "stream of 5", call: send(`{"cmd":"stream"}`, slowly), want: values("0", "1", "2", "3", "4"), runs: []string{`{"cmd":"stream"}#1 ` + slowly}},
		{name: "stream of 5 at once", call: send(`{"cmd":"streamSync"}`, `{"n":5}`), want: values("0", "1", "2", "3", "4"), runs: []string{`{"cmd":"streamSync"}#1 {"n":5}`}},
		{name: "stream without values", call: send(`{"cmd":"streamEmpty"}`, `1`), want: values(), runs: []string{`{"cmd":"streamEmpty"}#1 1`}},
		{name: "stream that ends late", call: send(`{"cmd":"streamLateComplete"}`, slowly), want: values("1", "2"), runs: []string{`{"cmd":"streamLateComplete"}#1 ` + slowly}},
		{name: "stream of nulls", call: send(`{"cmd":"streamNulls"}`, `1`), want: values("null", "1", "null"), runs: []string{`{"cmd":"streamNulls"}#1 1`}},
		{name: "stream of undefined", call: send(`{"cmd":"streamUndefined"}`, `1`), want: values(`"(undefined)"`), runs: undefined, but: []exception{
			{where: "*-nest/rmq/*", why: "a NestJS reply has no ID on RabbitMQ, so undefined is {}, which is not a packet and therefore the value", want: values(`{}`), runs: undefined},
			{where: "nest-*/nats/v1[01]", why: `NestJS 10 and 11 treat the packet {"id":I} as a value from elsewhere, and the answer as complete`, want: values(`{"id":"I"}`), runs: undefined},
			{where: "nest-*/redis/v1[01]", why: `NestJS 10 and 11 treat the packet {"id":I} as a value from elsewhere, and the answer as complete`, want: values(`{"id":"I"}`), runs: undefined},
		}},
		{name: "object pattern in another order", call: send(`{"a":{"c":true,"d":"x"},"b":2}`, `7`), want: values(`{"nested":7}`), runs: []string{`{"b":2,"a":{"d":"x","c":true}}#1 7`}},
		{name: "number pattern", call: send(`42`, `1`), want: values(`"number-pattern"`), runs: []string{`42#1 1`}},
		{name: "number pattern as text", call: send(`"42"`, `1`), want: values(`"number-pattern"`), runs: []string{`42#1 1`}},
		{name: "é 😀", call: send(`{"cmd":"echo"}`, `{"é😀":"a😀é\u2028"}`), want: values("{\"é😀\":\"a😀é\u2028\"}"), runs: []string{"{\"cmd\":\"echo\"}#1 {\"é😀\":\"a😀é\u2028\"}"}},
		{name: "é 😀 in the pattern", call: send(`{"cmd":"é😀"}`, `1`), want: values("1"), runs: []string{`{"cmd":"é😀"}#1 1`}},
		{name: "é 😀 from the service", call: send(`{"cmd":"returnEmoji"}`, `1`), want: values(`"a😀b"`), runs: []string{`{"cmd":"returnEmoji"}#1 1`}},
		{name: "half a surrogate pair", call: send(`{"cmd":"returnLoneSurrogate"}`, `1`), want: values(`"x\ud83dy"`), runs: []string{`{"cmd":"returnLoneSurrogate"}#1 1`}},
	}
}

func failures() []scenario {
	run := func(name string) []string { return []string{`{"cmd":"` + name + `"}#1 1`} }
	return []scenario{
		{name: "RpcException with a string", call: send(`{"cmd":"rpcString"}`, `1`), want: fails(`{"status":"error","message":"boom string"}`), runs: run("rpcString")},
		{name: "RpcException with an object", call: send(`{"cmd":"rpcObject"}`, `1`), want: fails(`{"code":404,"message":"not found","extra":{"a":[1]}}`), runs: run("rpcObject")},
		{name: "RpcException with an array", call: send(`{"cmd":"rpcArray"}`, `1`), want: fails(`[1,2]`), runs: run("rpcArray")},
		{name: "RpcException with a number", call: send(`{"cmd":"rpcNumber"}`, `1`), want: fails(`{"status":"error","message":123}`), runs: run("rpcNumber")},
		{name: "plain error", call: send(`{"cmd":"error"}`, `1`), want: fails(internalError), runs: run("error")},
		{name: "guard", call: send(`{"cmd":"guarded"}`, `1`), want: fails(`{"status":"error","message":"Forbidden resource"}`)},
		{name: "stream then error", call: send(`{"cmd":"streamThenError"}`, `1`), want: fails(`{"status":"error","message":"stream failed"}`, "1", "2"), runs: run("streamThenError")},
		{name: "stream then a late error", call: send(`{"cmd":"streamThenLateError"}`, slowly), want: fails(`{"status":"error","message":"stream failed late"}`, "1", "2"), runs: []string{`{"cmd":"streamThenLateError"}#1 ` + slowly}},
		{name: "unknown pattern", call: send(`{"cmd":"unknown"}`, `1`), want: fails(noHandler), but: []exception{
			{where: "nest-*/redis/*", why: "there is no subscriber, and NestJS's client does not check", want: fails(timedOut)},
			{where: nestOnNATS, why: "the broker reports that there is no subscriber", want: fails(`{"name":"Error","message":"Empty response. There are no subscribers listening to that message (\"{\"cmd\":\"unknown\"}\")"}`)},
			{where: "msctl-nest/redis/*", why: "Redis returns the number of receivers, and our client checks it", want: fails(notServed)},
			{where: "msctl-nest/nats/*", why: "the broker reports that there is no subscriber", want: fails(notServed)},
		}},
	}
}

func events() []scenario {
	return []scenario{
		{name: "event", call: emit(`"user_created"`, `{"id":7,"é":"😀"}`), want: emitted, runs: []string{`"user_created"#1 {"id":7,"é":"😀"}`}},
		{name: "event with an object as pattern", call: emit(`{"evt":"created"}`, `[1]`), want: emitted, runs: []string{`{"evt":"created"}#1 [1]`}},
		{name: "event with two handlers", call: emit(`"multi"`, `1`), want: emitted, runs: []string{`"multi"#1 1`, `"multi"#2 1`}},
		{name: "event whose handler fails", call: emit(`"evt_throws"`, `1`), want: emitted, runs: []string{`"evt_throws"#1 1`}},
		{name: "event to a message handler", call: emit(`{"cmd":"echo"}`, `"e"`), want: emitted, runs: []string{`{"cmd":"echo"}#1 "e"`}},
		{name: "event without a handler", call: emit(`"unknown"`, `1`), want: emitted},
		{name: "request to an event handler", call: send(`"user_created"`, `1`), want: values(), runs: []string{`"user_created"#1 1`}},
		{name: "request to two event handlers", call: send(`"multi"`, `1`), want: values("{}"), runs: []string{`"multi"#1 1`, `"multi"#2 1`}},
	}
}

// larger returns the scenarios with a megabyte of data. NATS limits a packet to 1 MiB, including everything around the
// data.
func larger() []scenario {
	return []scenario{
		{name: "1 MB payload", call: send(`{"cmd":"echo"}`, million), want: values(million), runs: []string{`{"cmd":"echo"}#1 ` + million}},
		{name: "1 MB event", call: emit(`"user_created"`, million), want: emitted, runs: []string{`"user_created"#1 ` + million}},
		{name: "1 MiB payload of é", call: send(`{"cmd":"echo"}`, mebi), want: values(mebi), runs: []string{`{"cmd":"echo"}#1 ` + mebi}, but: []exception{
			{where: "msctl-nest/nats/*", why: maxPayload, want: fails(tooLarge)},
			{where: "nest-*/nats/v12", why: maxPayload, want: fails(`{"name":"InvalidArgumentError","message":"'payload' max_payload size exceeded"}`)},
			{where: nestOnNATS, why: maxPayload, want: fails(`{"name":"NatsError","message":"MAX_PAYLOAD_EXCEEDED","code":"MAX_PAYLOAD_EXCEEDED"}`)},
		}},
	}
}
