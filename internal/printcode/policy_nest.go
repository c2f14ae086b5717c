package printcode

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/msctl/msctl/internal/policytext"
	"github.com/msctl/msctl/runtime/policy"
)

// nestProgram is a TypeScript module for rxjs under construction.
type nestProgram struct {
	settings policy.Settings
	rxjs     map[string]bool
	parts    []string
}

// nestPolicyCode is the policy as an rxjs operator, in TypeScript, for what
// ClientProxy.send returns.
func nestPolicyCode(s policy.Settings) (string, error) {
	n := &nestProgram{settings: s, rxjs: map[string]bool{"type MonoTypeOperatorFunction": true, "defer": true}}
	operator := n.operator()
	if s.Retries > 0 {
		if s.Budget != (policy.Budget{}) {
			n.budget()
		}
		if err := n.retryable(); err != nil {
			return "", err
		}
	}
	names := slices.SortedFunc(maps.Keys(n.rxjs), func(a, b string) int {
		return strings.Compare(strings.ToLower(strings.TrimPrefix(a, "type ")), strings.ToLower(strings.TrimPrefix(b, "type ")))
	})
	head := "import { " + strings.Join(names, ", ") + " } from 'rxjs';\n\n"
	return head + strings.Join(append(n.parts, n.comment()+operator), "\n"), nil
}

// comment says what the operator does, and what it leaves out.
func (n *nestProgram) comment() string {
	s := n.settings
	text := "/**\n * " + policytext.Describe(s) + ".\n *\n *   client.send<Item>(pattern, data).pipe(withPolicy())\n"
	left := func(what, why string) { text += " *\n * Not here: " + what + ". " + why + "\n" }
	if s.Breaker != (policy.Breaker{}) {
		left("the breaker, "+policytext.FormatBreaker(s.Breaker), "Put one around the whole call, outside of this operator.")
	}
	if s.Hedge != (policy.Hedge{}) {
		left("the hedge, "+policytext.FormatHedge(s.Hedge), "A ClientProxy cannot tell the service that the other request is not needed.")
	}
	return text + " */\n"
}

// operator is the function that the module is for.
func (n *nestProgram) operator() string {
	s := n.settings
	text := "export function withPolicy<T>(): MonoTypeOperatorFunction<T> {\n  return (source) =>\n    defer(() => {\n"
	if s.Deadline > 0 {
		text += fmt.Sprintf("      const deadline = Date.now() + %s;\n", millis(s.Deadline))
	}
	attempt := n.attempt()
	if s.Retries == 0 {
		return text + "      return " + attempt + ";\n    });\n}\n"
	}
	if s.Budget.Ratio > 0 {
		text += "      budget.earn();\n"
	}
	return text + "      let answered = false;\n      return " + attempt + ".pipe(\n" + n.retry() + "      );\n    });\n}\n"
}

// retry is the part of the operator that makes further attempts.
func (n *nestProgram) retry() string {
	n.use("retry", "tap", "throwError")
	parameters, wait, next := "(error)", "", "of(0)"
	if n.growing() {
		parameters = "(error, n)"
	}
	if n.settings.Backoff.Delay > 0 {
		wait, next = "            const wait = "+n.wait()+";\n", "timer(wait)"
	}
	n.use(next[:strings.IndexByte(next, '(')])
	return "        tap(() => {\n          answered = true;\n        }),\n" +
		"        retry({\n          count: " + strconv.Itoa(n.settings.Retries) + ",\n          delay: " + parameters + " => {\n" + wait +
		"            const again = !answered && retryable(error)" + n.allowed() + ";\n" +
		"            return again ? " + next + " : throwError(() => error);\n          },\n        }),\n"
}

func (n *nestProgram) use(names ...string) {
	for _, name := range names {
		n.rxjs[name] = true
	}
}

// attempt is one attempt, made anew for each subscription.
func (n *nestProgram) attempt() string {
	s := n.settings
	left := "Math.max(deadline - Date.now(), 0)"
	switch {
	case s.Timeout > 0 && s.Deadline > 0:
		left = fmt.Sprintf("Math.min(%s, %s)", millis(s.Timeout), left)
	case s.Timeout > 0:
		left = millis(s.Timeout)
	case s.Deadline == 0:
		return "source"
	}
	n.use("timeout")
	if s.Deadline == 0 {
		return "source.pipe(timeout(" + left + "))"
	}
	return "defer(() => source.pipe(timeout(" + left + ")))"
}

// growing tells that the waits depend on which retry it is.
func (n *nestProgram) growing() bool {
	b := n.settings.Backoff
	return b.Delay > 0 && b.Factor > 1 && b.Before(2) != b.Before(1)
}

// wait is the delay before retry n, where there is one.
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

// allowed are the further conditions of a retry, the budget last, because it is
// spent by asking.
func (n *nestProgram) allowed() (text string) {
	switch {
	case n.settings.Deadline > 0 && n.settings.Backoff.Delay > 0:
		text = " && Date.now() + wait < deadline"
	case n.settings.Deadline > 0:
		text = " && Date.now() < deadline"
	}
	if n.settings.Budget != (policy.Budget{}) {
		text += " && budget.spend()"
	}
	return text
}

// budget writes the token bucket, which fills and empties as the policy's own.
func (n *nestProgram) budget() {
	b := n.settings.Budget
	most := number(max(10, 10*b.Floor)) // as policy.Budget: ten seconds of the floor, ten retries at the least
	var sources []string
	if b.Ratio > 0 {
		sources = append(sources, "each call earns "+number(b.Ratio)+" of one")
	}
	if b.Floor > 0 {
		sources = append(sources, number(b.Floor)+" a second come for free")
	}
	text := "/** Bounds the retries of all calls together: " + strings.Join(sources, ", and ") + ". A service needs one of its own. */\nclass RetryBudget {\n" +
		"  private tokens = " + number(b.Floor) + ";\n"
	if b.Floor > 0 {
		text += "  private filled = Date.now();\n"
	}
	if b.Ratio > 0 {
		text += "\n  /** Pays in for one call. */\n  earn(): void {\n    this.tokens = Math.min(this.tokens + " + number(b.Ratio) + ", " + most + ");\n  }\n"
	}
	text += "\n  /** Takes a retry, and tells whether there was one. */\n  spend(): boolean {\n"
	if b.Floor > 0 {
		text += "    const now = Date.now();\n" +
			"    this.tokens = Math.min(this.tokens + (" + number(b.Floor) + " * (now - this.filled)) / 1000, " + most + ");\n" +
			"    this.filled = now;\n"
	}
	text += "    if (this.tokens < 1 - 1e-9) return false;\n    this.tokens -= 1;\n    return true;\n  }\n}\n\n" +
		"const budget = new RetryBudget();\n"
	n.parts = append(n.parts, text)
}

// millis is a duration in milliseconds, as JavaScript counts.
func millis(d time.Duration) string { return number(float64(d) / float64(time.Millisecond)) }

// nestFilter is the function that tells which errors are retried, under
// construction.
type nestFilter struct {
	conditions []string
	// answer and status are which of its variables the conditions use.
	answer, status bool
}

// retryable writes the function that tells which errors are retried.
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
	n.parts = append(n.parts, "/** Tells which errors are worth another attempt: "+classes+". */\n"+
		"function retryable(error: any): boolean {\n"+f.variables()+"  return (\n    "+condition+"\n  );\n}\n")
	return nil
}

// variables declares what the conditions use.
func (f *nestFilter) variables() (text string) {
	if f.answer || f.status {
		text = "  // What the service answered with is no Error: the client hands it on as it came.\n" +
			"  const answer = !(error instanceof Error);\n"
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
			_ = f.add(part) // known
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
		return fmt.Errorf("the class of errors %q has no form in TypeScript", class)
	}
	condition := "status === " + class
	if isRange {
		condition = "Math.floor(status / 100) === " + hundreds
	}
	f.conditions = append(f.conditions, condition)
	return nil
}
