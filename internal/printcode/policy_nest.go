package printcode

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/policytext"
	"github.com/msctl/msctl/runtime/policy"
)

// nestProgram is a TypeScript module for RxJS under construction.
type nestProgram struct {
	settings policy.Settings
	rxjs     map[string]bool
	parts    []string
}

// nestPolicyCode returns the policy as an RxJS operator, in TypeScript, for the result of
// ClientProxy.send. It rejects a policy that the operator could not follow.
func nestPolicyCode(s policy.Settings) (string, error) {
	if s.RetryOn == "never" {
		s.Retries = 0
	}
	if s.Retries == 0 { // nothing of these applies
		s.Backoff, s.Jitter, s.RetryOn, s.RetryAfterValue, s.Budget = policy.Backoff{}, policy.NoJitter, "", false, policy.Budget{}
	}
	if err := nestUnable(s, "--print-policy go"); err != nil {
		return "", err
	}
	n := &nestProgram{settings: s, rxjs: map[string]bool{"type MonoTypeOperatorFunction": true}}
	operator := n.operator()
	if n.bounded() {
		n.within()
	}
	if s.Budget != (policy.Budget{}) {
		n.budget()
	}
	if s.Retries > 0 && s.RetryOn != "any" {
		if err := n.retryable(); err != nil {
			return "", err
		}
	}
	names := slices.SortedFunc(maps.Keys(n.rxjs), func(a, b string) int {
		return strings.Compare(strings.ToLower(strings.TrimPrefix(a, "type ")), strings.ToLower(strings.TrimPrefix(b, "type ")))
	})
	head := "import { " + strings.Join(names, ", ") + " } from 'rxjs';\n\n"
	comment := "/**\n * " + policytext.Describe(s) + ".\n *\n *   client.send<Item>(pattern, data).pipe(withPolicy())\n */\n"
	return head + strings.Join(append(n.parts, comment+operator), "\n"), nil
}

// maxTimer is the longest delay of a timer in JavaScript. A longer one would fire at once.
const maxTimer = (1<<31 - 1) * time.Millisecond

// nestUnable returns a usage error if RxJS could not do what the policy does. Its hint names
// another flag that can print it.
func nestUnable(s policy.Settings, flag string) error {
	unable := func(hint, format string, args ...any) error {
		err := exit.Usagef("cannot print the policy for NestJS: "+format, args...)
		return exit.WithHint(err, "%s, or use %s", hint, flag)
	}
	switch {
	case s.Breaker != (policy.Breaker{}):
		return unable("remove --breaker", "RxJS has no circuit breaker (%s)", policytext.FormatBreaker(s.Breaker))
	case s.Hedge != (policy.Hedge{}):
		return unable("remove --hedge", "a ClientProxy cannot cancel the redundant request of a hedge (%s)", policytext.FormatHedge(s.Hedge))
	}
	longest, whole := s.Backoff.Before(s.Retries), s.Timeout
	if s.TimeoutPerValue {
		whole = 0 // it does not limit an attempt
	}
	for _, d := range []struct {
		flag  string
		value time.Duration
		timer time.Duration // the longest that the code starts for it
	}{
		{"timeout", s.Timeout, nestBound(s.Timeout, s.Deadline)},
		{"deadline", s.Deadline, nestBound(s.Deadline, whole)},
		{"retry-delay", s.Backoff.Before(1), nestBound(longest, s.Deadline)},
	} {
		switch {
		case d.value%time.Millisecond != 0:
			return unable("round it", "timers in JavaScript count whole milliseconds (--%s %s)", d.flag, d.value)
		case d.timer > maxTimer:
			return unable("use a shorter --"+d.flag, "timers in JavaScript end after 24.8 days (--%s, up to %s)", d.flag, d.timer)
		}
	}
	return nil
}

// nestBound returns d or its bound, of which 0 is none.
func nestBound(d, bound time.Duration) time.Duration {
	if bound > 0 {
		return min(d, bound)
	}
	return d
}

// bounded reports whether the operator limits the time of an attempt as a whole.
func (n *nestProgram) bounded() bool {
	s := n.settings
	return s.Deadline > 0 || s.Timeout > 0 && !s.TimeoutPerValue
}

// within writes the operator that limits the time of an attempt as a whole.
func (n *nestProgram) within() {
	n.use("map", "takeUntil", "TimeoutError", "timer")
	n.parts = append(n.parts, "/** Fails unless the whole reply arrives in time. RxJS's timeout(ms) would restart with each value. */\n"+
		"function within<T>(ms: number): MonoTypeOperatorFunction<T> {\n"+
		"  return takeUntil(\n    timer(ms).pipe(\n      map(() => {\n        throw new TimeoutError();\n      }),\n    ),\n  );\n}\n")
}

// operator returns the exported function.
func (n *nestProgram) operator() string {
	s := n.settings
	const head = "export function withPolicy<T>(): MonoTypeOperatorFunction<T> {\n  return (source) =>"
	operators, attempt := n.attempt()
	switch {
	case s.Retries == 0 && s.Deadline > 0:
		return head + n.deferred("      return "+attempt+";\n")
	case s.Retries == 0:
		return head + " " + attempt + ";\n}\n"
	case n.plain():
		n.use("retry")
		operators = append(operators, "retry({ count: "+strconv.Itoa(s.Retries)+", delay: "+millis(s.Backoff.Before(1))+" })")
		return head + " source.pipe(" + strings.Join(operators, ", ") + ");\n}\n"
	}
	body := ""
	if s.Budget.Ratio > 0 {
		body += "      budget.earn();\n"
	}
	if !s.RetryAfterValue {
		body += "      let answered = false;\n"
	}
	return head + n.deferred(body+"      return "+attempt+".pipe(\n"+n.retry()+"      );\n")
}

// plain reports whether RxJS's retry does all that the policy does.
func (n *nestProgram) plain() bool {
	s := n.settings
	return s.RetryOn == "any" && s.RetryAfterValue && s.Deadline == 0 && s.Budget == (policy.Budget{}) &&
		!n.growing() && (s.Jitter == policy.NoJitter || s.Backoff.Delay <= 0) && s.Backoff.Delay > 0
}

// deferred wraps the body of a function that runs for each subscription.
func (n *nestProgram) deferred(body string) string {
	n.use("defer")
	text := "\n    defer(() => {\n"
	if n.settings.Deadline > 0 {
		text += fmt.Sprintf("      const deadline = performance.now() + %s;\n", millis(n.settings.Deadline))
	}
	return text + body + "    });\n}\n"
}

// retry returns the part of the operator that retries. The budget comes last, because a
// retry is taken from it.
func (n *nestProgram) retry() string {
	n.use("retry", "throwError")
	s := n.settings
	text, parameters := "", "(error)"
	if n.growing() {
		parameters = "(error, n)"
	}
	if !s.RetryAfterValue {
		n.use("tap")
		text += "        tap(() => {\n          answered = true;\n        }),\n"
	}
	text += "        retry({\n          count: " + strconv.Itoa(s.Retries) + ",\n          delay: " + parameters + " => {\n"
	next := "of(0)"
	if s.Backoff.Delay > 0 {
		text += "            const wait = " + n.wait() + ";\n"
		next = "timer(wait)"
	}
	n.use(next[:strings.IndexByte(next, '(')])
	if ends := n.ends(); ends != "" {
		text += "            if (" + ends + ") return throwError(() => error);\n"
	}
	if s.Budget == (policy.Budget{}) {
		return text + "            return " + next + ";\n          },\n        }),\n"
	}
	text += "            const token = budget.spend();\n            if (token === undefined) return throwError(() => error);\n"
	if s.Backoff.Delay <= 0 {
		return text + "            return " + next + ";\n          },\n        }),\n"
	}
	n.use("finalize", "tap")
	return text + "            let made = false;\n            return " + next + ".pipe(\n" +
		"              tap(() => {\n                made = true;\n              }),\n" +
		"              finalize(() => {\n                if (!made) budget.refund(token); // unsubscribed during the delay\n              }),\n" +
		"            );\n          },\n        }),\n"
}

// ends returns the condition that excludes a retry.
func (n *nestProgram) ends() string {
	s := n.settings
	var conditions []string
	if !s.RetryAfterValue {
		conditions = append(conditions, "answered")
	}
	if s.RetryOn != "any" {
		conditions = append(conditions, "!retryable(error)")
	}
	switch {
	case s.Deadline == 0:
	case s.Backoff.Delay > 0:
		conditions = append(conditions, "performance.now() + wait > deadline - 1")
	default:
		conditions = append(conditions, "performance.now() > deadline - 1")
	}
	return strings.Join(conditions, " || ")
}

func (n *nestProgram) use(names ...string) {
	for _, name := range names {
		n.rxjs[name] = true
	}
}

// attempt returns the operators that limit an attempt, and the expression for one attempt,
// evaluated for each subscription.
func (n *nestProgram) attempt() (operators []string, expression string) {
	s := n.settings
	if s.Timeout > 0 && s.TimeoutPerValue {
		n.use("timeout")
		operators = append(operators, "timeout("+millis(s.Timeout)+")")
	}
	switch left := "deadline - performance.now()"; {
	case s.Deadline > 0 && s.Timeout > 0 && !s.TimeoutPerValue:
		operators = append(operators, fmt.Sprintf("within(Math.min(%s, %s))", millis(s.Timeout), left))
	case s.Deadline > 0:
		operators = append(operators, "within("+left+")")
	case s.Timeout > 0 && !s.TimeoutPerValue:
		operators = append(operators, "within("+millis(s.Timeout)+")")
	}
	expression = "source"
	if len(operators) > 0 {
		expression += ".pipe(" + strings.Join(operators, ", ") + ")"
	}
	if s.Deadline > 0 && s.Retries > 0 {
		expression = "defer(() => " + expression + ")"
	}
	return operators, expression
}

// growing reports whether the delay depends on the number of the retry.
func (n *nestProgram) growing() bool {
	b := n.settings.Backoff
	return n.settings.Retries > 1 && b.Before(2) != b.Before(1)
}

// wait returns the delay before retry n.
func (n *nestProgram) wait() string {
	b := n.settings.Backoff
	text := millis(b.Before(1))
	if n.growing() {
		text = fmt.Sprintf("%s * %s ** (n - 1)", millis(b.Delay), number(b.Factor))
		if b.Max > 0 {
			text = fmt.Sprintf("Math.min(%s, %s)", text, millis(b.Max))
		}
	}
	switch n.settings.Jitter {
	case policy.FullJitter:
		return text + " * Math.random()"
	case policy.EqualJitter:
		return "(" + text + " * (1 + Math.random())) / 2"
	}
	return text
}

// budget writes the token bucket, which works like the budget of the policy.
func (n *nestProgram) budget() {
	b := n.settings.Budget
	var sources []string
	if b.Ratio > 0 {
		sources = append(sources, "each call adds "+number(b.Ratio)+" retries, which are available for 10 s")
	}
	if b.Floor > 0 {
		sources = append(sources, "each second adds "+number(b.Floor)+" more, of which those of 10 s can be saved up")
	}
	head := "/**\n * Limits the retries of all calls together: " + strings.Join(sources, ", and\n * ") + ".\n * Use one for each service.\n */\nclass RetryBudget {\n"
	n.parts = append(n.parts, head+n.budgetFields()+n.budgetEarned()+n.budgetFloor()+n.budgetSpend()+n.budgetRefund()+"}\n\nconst budget = new RetryBudget();\n")
}

// budgetFields writes the members: whole retries by when calls earned them, in half
// seconds, with a remainder, and what is available without calls.
func (n *nestProgram) budgetFields() (text string) {
	if n.settings.Budget.Ratio > 0 {
		text += "  private readonly origin = performance.now();\n" +
			"  private readonly parts: number[] = new Array(21).fill(0); // retries by the half second in which they were earned\n" +
			"  private part = 0; // the current half second\n" +
			"  private remainder = 0; // of less than a retry\n"
	}
	if floor := n.settings.Budget.Floor; floor > 0 {
		text += "  private available = " + number(floor) + "; // without calls\n  private filled = performance.now();\n"
	}
	return text + "\n"
}

// budgetEarned writes the methods for the retries that calls earn.
func (n *nestProgram) budgetEarned() string {
	ratio := n.settings.Budget.Ratio
	if ratio == 0 {
		return ""
	}
	return "  /** Adds the share of one call. */\n  earn(retries = " + number(ratio) + "): void {\n    this.slide();\n" +
		"    const whole = Math.floor(this.remainder + retries + 1e-9);\n" +
		"    this.remainder += retries - whole;\n" +
		"    this.parts[this.part % 21] += whole;\n  }\n\n" +
		"  /** Removes what was earned more than 10 s ago. */\n  private slide(): void {\n" +
		"    const part = Math.floor((performance.now() - this.origin) / 500);\n" +
		"    this.part = Math.max(this.part, part - 21);\n" +
		"    while (this.part < part) this.parts[++this.part % 21] = 0;\n  }\n\n"
}

// budgetFloor writes the method for the retries that are available without calls.
func (n *nestProgram) budgetFloor() string {
	floor := n.settings.Budget.Floor
	if floor == 0 {
		return ""
	}
	most := 10 * floor
	if n.settings.Budget.Ratio == 0 {
		most = max(most, 1)
	}
	return "  /** Adds what has become available since the last time. */\n  private fill(retries: number): void {\n" +
		"    const now = performance.now();\n" +
		"    this.available = Math.min(this.available + (" + number(floor) + " * (now - this.filled)) / 1000 + retries, " + number(most) + ");\n" +
		"    this.filled = now;\n  }\n\n"
}

func (n *nestProgram) budgetSpend() string {
	b := n.settings.Budget
	text := "  /** Takes one retry and returns its receipt, or undefined if none is left. */\n  spend(): number | undefined {\n"
	if b.Ratio > 0 {
		text += "    this.slide();\n    for (let part = Math.max(this.part - 20, 0); part <= this.part; part++) {\n" +
			"      if (this.parts[part % 21] >= 1) {\n        this.parts[part % 21]--;\n        return part;\n      }\n    }\n"
	}
	switch {
	case b.Floor == 0:
		return text + "    return undefined;\n  }\n\n"
	case b.Ratio == 0:
		return text + "    this.fill(0);\n    if (this.available < 1 - 1e-9) return undefined;\n" +
			"    this.available = Math.max(this.available - 1, 0);\n    return -1;\n  }\n\n"
	}
	return text + "    this.fill(0);\n    if (this.available + this.remainder < 1 - 1e-9) return undefined;\n" +
		"    const rest = Math.max(1 - this.available, 0);\n    this.remainder -= rest;\n" +
		"    this.available = Math.max(this.available - 1, 0);\n    return -1 - rest;\n  }\n\n"
}

func (n *nestProgram) budgetRefund() string {
	b := n.settings.Budget
	text := "  /** Returns a retry that was not made after all. */\n  refund(receipt: number): void {\n"
	if b.Floor > 0 {
		if b.Ratio == 0 {
			return strings.Replace(text, "receipt:", "_receipt:", 1) + "    this.fill(1);\n  }\n"
		}
		text += "    if (receipt < 0) {\n      const rest = -1 - receipt;\n      this.fill(1 - rest);\n      return this.earn(rest);\n    }\n"
	}
	return text + "    this.slide();\n    if (receipt >= this.part - 20) this.parts[receipt % 21]++;\n  }\n"
}

// millis returns a duration in milliseconds.
func millis(d time.Duration) string {
	return strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'f', -1, 64)
}

// nestFilter is the condition for retryable errors under construction.
type nestFilter struct {
	conditions []string
	// answer and status report whether the condition uses these variables.
	answer, status bool
}

// retryable writes the function that decides which errors are retried.
func (n *nestProgram) retryable() error {
	classes := n.settings.RetryOn
	if classes == "" {
		classes = "transient"
	}
	f := &nestFilter{}
	for class := range strings.SplitSeq(classes, ",") {
		if err := f.add(strings.TrimSpace(class)); err != nil {
			return err
		}
	}
	condition := strings.Join(f.conditions, " ||\n    ")
	if strings.Contains(condition, "TimeoutError") {
		n.use("TimeoutError")
	}
	n.parts = append(n.parts, "/** Reports whether an error is retryable: "+classes+". */\n"+
		"function retryable(error: any): boolean {\n"+f.variables()+"  return (\n    "+condition+"\n  );\n}\n")
	return nil
}

// variables declares the variables of the condition.
func (f *nestFilter) variables() (text string) {
	if f.answer || f.status {
		text = "  // An error from the service is not an Error: the client passes it on as it is.\n" +
			"  const answer: boolean = !(error instanceof Error);\n"
	}
	if f.status {
		text += "  const status = answer && [error?.status, error?.statusCode, error?.code].find(\n    (n) => Number.isInteger(n) && n >= 100 && n < 600,\n  );\n"
	}
	return text
}

// add adds the conditions for one class of errors: see policy.WithRetryOn.
func (f *nestFilter) add(class string) error {
	switch class {
	case "timeout":
		f.conditions = append(f.conditions, "error instanceof TimeoutError")
	case "unreachable":
		f.conditions = append(f.conditions, "['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'EAI_AGAIN', 'ETIMEDOUT'].includes(error?.code)")
	case "reset":
		f.conditions = append(f.conditions, "['ECONNRESET', 'EPIPE'].includes(error?.code)", "error?.message === 'Connection closed'")
	case "error":
		f.answer = true
		f.conditions = append(f.conditions, "answer")
	case "transient":
		for _, part := range []string{"timeout", "unreachable", "reset"} {
			_ = f.add(part) // always known
		}
		f.status = true
		f.conditions = append(f.conditions, "[429, 502, 503, 504].includes(status)")
	case "any":
		f.conditions = append(f.conditions, "error !== undefined")
	case "never":
		f.conditions = append(f.conditions, "error === undefined")
	default:
		return f.addStatus(class)
	}
	return nil
}

// addStatus adds the condition for 503 or 5xx.
func (f *nestFilter) addStatus(class string) error {
	f.status = true
	hundreds, isRange := strings.CutSuffix(class, "xx")
	if _, err := strconv.Atoi(hundreds); err != nil {
		return fmt.Errorf("the error class %q is not supported in TypeScript", class)
	}
	condition := "status === " + class
	if isRange {
		condition = "Math.floor(status / 100) === " + hundreds
	}
	f.conditions = append(f.conditions, condition)
	return nil
}
