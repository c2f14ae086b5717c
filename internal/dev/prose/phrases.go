package main

// rules lists the phrases to avoid. Rewrite the sentence instead of replacing
// the words: the phrase is usually only what shows.
var rules = []rule{
	// Combinations and duplicates.
	{"goes with, goes without", `\b(go|goes|going|went) (along )?(with|without)\b`, "requires; cannot be combined with; accompanies", ""},
	{"leave … out", `\b(leave|leaves|leaving) (\w+ ){0,3}out\b`, "remove, omit", ""},
	{"is there twice, say it once", `\bthere twice\b|\bthere is twice\b|\bsay it once\b|\bis twice (in|there)\b`, "duplicate X; conflicting values for X", ""},

	// Programs that talk.
	{"tells that, tells whether", `\b(tell|tells|telling) (that|of|whether|how|what|who|which|when|where|why|if|nothing|so|it)\b`, "reports, logs, returns, shows", ""},
	{"told", `\btold\b`, "reported, logged, instructed, notified", ""},
	{"says, said", `\b(says|said|saying)\b`, "reports, states, prints, specifies", ""},
	{"what they say, what it says", `\bwhat (it|they|that|this) (say|says|said|tell|tells)\b`, "the output, the message", ""},
	{"the truth, cry wolf", `\b(tell|tells|telling) the truth\b|\bcry wolf\b|\bcries wolf\b|\blie about\b|\blies about\b`, "is accurate; reports false positives", ""},
	{"X wants", `\b(it|which|that|server|service|broker|client|caller|program|peer|queue|command|test|handler|transport|driver|nats|redis|rabbitmq|nest|nestjs|msctl) wants?\b`, "requires, expects", ""},

	// Places and postures.
	{"stands behind, before, in", `\b(stand|stands|standing|stood) (behind|before|in|in front|at|on|there|where|wherever|between|under|over|beside|first|last|still|around)\b`, "follows, precedes, is in, stalls", ""},
	{"beside", `\bbeside\b`, "compared with, next to, in addition to", ""},
	{"what is there, that is there", `\b(that|which|what|whatever) (is|are|was|were) there\b`, "name the thing; existing", ""},
	{"is not there", `\b(is|are|was|were) not there\b|\b(isn't|aren't|wasn't|weren't) there\b`, "does not exist, is missing", ""},
	{"which there are", `\bwhich there (is|are|was|were)\b`, "name the thing", ""},
	{"room, house", `\brooms\b|\b(this|the|our) (house|room)\b`, "package, folder, repository", `the room for`},

	// People.
	{"nobody, no one", `\b(nobody|no one)\b`, "no handler, no subscriber, no caller; does not", ""},
	{"somebody, anybody, everybody, whoever", `\b(somebody|anybody|everybody|whoever|whomever|someone|anyone|everyone)\b`, "the user, the caller, any client", ""},
	{"who waits, those who, one who", `\b(users? )?who (wait|waits|waited|ask|asks|asked|answer|answers|answered|call|calls|called|handle|handles|send|sends|sent|read|reads|listen|listens|knows?)\b|\b(those|all|one|ones) who\b`, "the caller, the client, the handler", `users? who .*`},
	{"a person", `\bpersons?\b`, "the user", ""},
	{"he, she, his, her", `\b(he|she|his|her|hers|him)\b`, "they, the user, it", ""},
	{"patience, patient", `\bpatien(ce|t|tly)\b`, "timeout, retry policy", ""},
	{"harm", `\b(do|does|doing|did|done) (\w+ )?harm\b|\bharm to\b|\bharms\b|\bharmed\b`, "inject faults into, damage", ""},
	{"politeness, innocence, blame", `\b(polite|politely|innocent|guilty|blame|blames|blamed)\b`, "state the fact", ""},

	// Time.
	{"comes again, came again", `\b(come|comes|came|coming) again\b`, "is redelivered, recurs, reconnects", ""},
	{"once more, anew", `\bonce more\b|\banew\b`, "again", ""},
	{"goes on, went on", `\b(go|goes|went|going) on\b`, "continues", ""},
	{"lately", `\blately\b`, "recently", ""},
	{"for ever, without end", `\bfor ever\b|\bwithout end\b|\bwithout an end\b`, "forever, indefinitely", ""},
	{"at the most, at the least", `\bat the (most|least|latest|soonest)\b`, "at most, at least", ""},
	{"at last", `\bat last\b`, "finally, eventually", ""},
	{"hiccup, stands still", `\bhiccups?\b|\b(stand|stands|stood|standing) still\b`, "stall, stalls", ""},
	{"half as much again", `\bas much again\b|\bas many again\b`, "50% more", ""},
	{"a second, a request (rate)", `(µs|\b(requests|messages|replies|answers|calls|events|attempts|times|items|lines|bytes|writes|frames|packets|points|users|tokens|retries|runs|pings|allocations|allocs|[kKM]?i?B|ms|ns|\d[\d,.]*)) an? (second|minute|hour)\b( time)?|(µs|\b(attempts|bytes|allocations|allocs|ms|ns|seconds|milliseconds|microseconds|nanoseconds|\d[\d.]*)) an? (message|request|call|reply|attempt|connection|packet|event|frame)\b`, "per second, per request", `.* time`},

	// Verbs and nouns that are missing or wrong.
	{"has not", `\b(has|have|had) not( \w+)?\b`, "does not have", `(has|have|had) not (\w+ed|\w+en|been|come|become|done|gone|seen|sent|read|run|set|begun|begin|kept|left|lost|made|met|put|held|heard|found|got|had|shown|known|drawn|grown|thrown|torn|worn|sworn|born|paid|built|spent|meant|felt|dealt|cut|hit|let|shut|split|spread|brought|bought|caught|taught|thought|sought|won|sat|stood|understood|led|fed|fled|bound|hung|slept|swept|swum|sunk|yet|already|even|just|quite|also|necessarily|always)`},
	{"a port that is none", `\b(that|which) (is|are) none\b|\bis no (address|number|pattern|port|duration|rate|url|name)\b`, "invalid X", ""},
	{"does it run?", `\bdoes (it|a \w+|the \w+) run\?`, "is it running?", ""},
	{"what came of it", `\bwhat (came|comes|becomes|became) of\b`, "the outcome, the result", ""},
	{"what X is for", `\bwhat (it|they|that|this|(an?|the|each) \w+) (is|are) for\b|\bfor what\b|\bwhich for what\b`, "the purpose of X; name the thing", ""},
	{"what answers", `\bwhat answers\b|\bwhatever answers\b`, "the service, the peer", ""},
	{"the last that, the first that", `\b(the|its) (last|first|next|only) that\b`, "add the noun", ""},
	{"X is a thing", `\b(is|be) a thing\b|\bthe things that\b|\ball the things\b|\bthing for sale\b`, "name the thing", ""},
	{"so many, so much", `\bat most so (many|much|long)\b|\bthat so many\b|\bso many (requests|messages|times)\b`, "a maximum of, the given number of", ""},
	{"out of its own", `\bout of its own\b|\bof its own accord\b|\bof itself\b|\bof themselves\b`, "by itself, automatically", ""},
	{"mail, mails", `\bmails\b|\bmailed\b|\b(a|the|each|every|this|that|one|no) mail( \w+)?\b`, "email, message", `(a|the|each|every|this|that|one|no) mail (service|worker|server)`},
	{"let in", `\b(let|lets|letting) (us|it|him|them|anything|a \w+|the \w+) in\b`, "accept, authorize", ""},
	{"nothing of, nothing is", `\bknows? (nothing|no|little) (of|about)\b|\bknows? no\b`, "does not depend on, is independent of", ""},
	{"shall, upon, whence, lest", `\b(shall|upon|whence|whither|hither|thither|thereupon|whereupon|lest|nought|aught|thrice|amid|betwixt)\b`, "must, on, from where, so that … not", ""},
	{"in vain", `\bin vain\b|\bto no avail\b`, "without effect, unnecessarily", ""},
	{"in the way", `\bin (the|its|their) way\b`, "in the path; blocking", ""},

	// Spelling and typography.
	{"NestJS', Redis'", `\b(NestJS|Redis|NATS|msctl's|RxJS|rxjs|Node\.js|Nest|Express|Kubernetes|TLS)'\x20[a-z]`, "NestJS's, Redis's", ""},
	{"back-off", `\bback-offs?\b`, "backoff", ""},
	{"e-mail", `\be-mails?\b`, "email", ""},
	{"per cent", `\bper cent\b`, "percent, %", ""},
	{"65 %", `\d %([^\w%.+#*\[-]|$)|%[-+ 0-9.#*]*[a-z] %%`, "no space before %", ""},
}

// spellings are the words, in British spelling, to write in American spelling.
// They are rules for whole words, with what may precede them.
var spellings = rule{
	avoid: "British spelling",
	pattern: `.*(licence|behaviour|colour|honour|favour|neighbour|endeavour|flavour|rumour|catalogue|programme|cheque|manoeuvre|` +
		`(labell|modell|travell|signall|levell|marshall|channell|tunnell|cancell)(ed|er|ing)|` +
		`acknowledgement|judgement|artefact|defence|offence|likeable|sizeable)` +
		`(s|d|ed|ing|able|al|less)?` +
		`|(un|re|de|in|mis)?(fulfil|fulfils|grey|greyed|whilst|amongst|learnt|spelt|dreamt|ageing)` +
		`|.*(organi|recogni|normali|seriali|initiali|synchroni|optimi|minimi|maximi|summari|customi|generali|speciali|finali|utili|` +
		`prioriti|authori|categori|capitali|standardi|randomi|tokeni|saniti|materiali|visuali|reali|apologi|emphasi|paralleli|locali)` +
		`s(e|ed|es|er|ers|ing|able|ation|ations)` +
		`|analyse[ds]?|analysing|centre[ds]?|metres?|practis(e|ed|es|ing)`,
	use: "American spelling",
}
