package interop_test

// wildcards returns the scenarios of servers with wildcards on a broker. NestJS 10 supports none on RabbitMQ.
func wildcards(broker string) []scenario {
	matched := func(pattern, data string) []string {
		return values(`{"matched":"` + pattern + `","data":` + data + `}`)
	}
	run := func(pattern, data string) []string { return []string{`"` + pattern + `"#1 ` + data} }
	return map[string][]scenario{
		"rmq": {
			{name: "* is one word", call: send(`"orders.created"`, `1`), want: matched("orders.*", "1"), runs: run("orders.*", "1")},
			{name: "# is none", call: send(`"logs"`, `1`), want: matched("logs.#", "1"), runs: run("logs.#", "1")},
			{name: "# is many", call: send(`"logs.a.b.c"`, `1`), want: matched("logs.#", "1"), runs: run("logs.#", "1")},
			{name: "exact", call: send(`"exact.key"`, `1`), want: matched("exact.key", "1"), runs: run("exact.key", "1")},
			{name: "# in the middle", call: send(`"a.x.b"`, `1`), want: fails(noHandler)},
			{name: "an empty word", call: send(`"orders."`, `1`), want: fails(noHandler)},
			{name: "two words", call: send(`"orders.a.b"`, `1`), want: fails(timedOut), but: []exception{
				{where: "msctl-nest/rmq/*", why: "no queue is bound to it; the broker returns the message, and our client checks that", want: fails(notServed)},
			}},
			{name: "event", call: emit(`"evt.x"`, `1`), want: emitted, runs: run("evt.*", "1")},
			{name: "event of many words", call: emit(`"evt.deep.a.b"`, `1`), want: emitted, runs: run("evt.deep.#", "1")},
			{name: "event that two patterns match", call: emit(`"evt.deep"`, `1`), want: emitted, runs: run("evt.*", "1")},
		},
		"nats": {
			{name: "* is one token", call: send(`"orders.created"`, `1`), want: matched("orders.*", "1"), runs: run("orders.*", "1")},
			{name: "> is one", call: send(`"logs.a"`, `1`), want: matched("logs.>", "1"), runs: run("logs.>", "1")},
			{name: "> is many", call: send(`"logs.a.b.c"`, `1`), want: matched("logs.>", "1"), runs: run("logs.>", "1")},
			{name: "> is not none", call: send(`"logs"`, `1`), want: fails(`{"name":"Error","message":"Empty response. There are no subscribers listening to that message (\"logs\")"}`), but: []exception{
				{where: oursToNest, why: "our client has an error of its own", want: fails(notServed)},
			}},
			{name: "event", call: emit(`"evt.x"`, `1`), want: emitted, runs: run("evt.*", "1")},
			{name: "event of many tokens", call: emit(`"evtdeep.a.b"`, `1`), want: emitted, runs: run("evtdeep.>", "1")},
		},
		"redis": redisWildcards(matched, run),
	}[broker]
}

// redisWildcards returns the scenarios for Redis. A glob that ends in * also matches the channel of the answers, and
// NestJS handles these as events (docs/wire.md 5).
func redisWildcards(matched, run func(string, string) []string) []scenario {
	again := "the glob also matches the reply's channel: NestJS runs the handler again, with its own reply as an event"
	silent := "NestJS 10 and 11 answer on `<glob>.reply`, which has no subscriber"
	request := func(name, channel, glob string) scenario {
		return scenario{name: name, call: send(`"`+channel+`"`, `1`), want: matched(glob, "1"), runs: run(glob, "1"), but: []exception{
			{where: "*-nest/redis/v1[01]", why: silent, want: fails(timedOut), runs: run(glob, "1")},
		}}
	}
	star := request("* is anything", "orders.a.b", "orders.*")
	twice := []string{`"orders.*"#1 1`, `"orders.*"#1 (reply)`}
	star.but = []exception{
		{where: "*-nest/redis/v12", why: again, want: star.want, runs: twice},
		{where: "*-nest/redis/v1[01]", why: silent + "; " + again, want: fails(timedOut), runs: twice},
	}
	return []scenario{
		star,
		request("? is one character", "hallo", "h?llo"),
		request("[ab] is one of them", "xa", "x[ab]"),
		{name: "[ab] is not another", call: send(`"xc"`, `1`), want: fails(timedOut), but: []exception{
			{where: oursToNest, why: "Redis counts the receivers, and our client looks", want: fails(notServed)},
		}},
		{name: "event", call: emit(`"evt.x"`, `1`), want: emitted, runs: run("evt.*", "1")},
	}
}
