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

// nestProgram is a TypeScript module for RxJS under construction.
type nestProgram struct {
	settings policy.Settings
	rxjs     map[string]bool
	parts    []string
}

// nestPolicyCode returns the policy as an RxJS operator, in TypeScript, for the result of
// ClientProxy.send.
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

// comment describes the operator, and what it does not support.
func (n *nestProgram) comment() string {
	s := n.settings
	text := "/**\n * " + policytext.Describe(s) + ".\n *\n *   client.send<Item>(pattern, data).pipe(withPolicy())\n"
	missing := func(what, why string) { text += " *\n * Not included: " + what + ". " + why + "\n" }
	if s.Breaker != (policy.Breaker{}) {
		missing("the breaker, "+policytext.FormatBreaker(s.Breaker), "Put one around the entire call, outside of this operator.")
	}
	if s.Hedge != (policy.Hedge{}) {
		missing("the hedge, "+policytext.FormatHedge(s.Hedge), "A ClientProxy cannot cancel the redundant request.")
	}
	return text + " */\n"
}

// operator returns the exported function.
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

// retry returns the part of the operator that retries.
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

// attempt returns the expression for one attempt, evaluated for each subscription.
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

// growing reports whether the delay depends on the number of the retry.
func (n *nestProgram) growing() bool {
	b := n.settings.Backoff
	return b.Delay > 0 && b.Factor > 1 && b.Before(2) != b.Before(1)
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

// allowed returns the other conditions of a retry. The budget comes last, because
// checking it spends it.
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

// budget writes the token bucket, which works like the budget of the policy.
func (n *nestProgram) budget() {
	b := n.settings.Budget
	most := number(max(10, 10*b.Floor)) // as policy.Budget: ten seconds of the floor, at least ten retries
	var sources []string
	if b.Ratio > 0 {
		sources = append(sources, "each call adds "+number(b.Ratio)+" retries")
	}
	if b.Floor > 0 {
		sources = append(sources, "each second adds "+number(b.Floor)+" more")
	}
	text := "/** Limits the retries of all calls together: " + strings.Join(sources, ", and ") + ". Use one for each service. */\nclass RetryBudget {\n" +
		"  private tokens = " + number(b.Floor) + ";\n"
	if b.Floor > 0 {
		text += "  private filled = Date.now();\n"
	}
	if b.Ratio > 0 {
		text += "\n  /** Adds the share of one call. */\n  earn(): void {\n    this.tokens = Math.min(this.tokens + " + number(b.Ratio) + ", " + most + ");\n  }\n"
	}
	text += "\n  /** Takes one retry, if there is one left. */\n  spend(): boolean {\n"
	if b.Floor > 0 {
		text += "    const now = Date.now();\n" +
			"    this.tokens = Math.min(this.tokens + (" + number(b.Floor) + " * (now - this.filled)) / 1000, " + most + ");\n" +
			"    this.filled = now;\n"
	}
	text += "    if (this.tokens < 1 - 1e-9) return false;\n    this.tokens -= 1;\n    return true;\n  }\n}\n\n" +
		"const budget = new RetryBudget();\n"
	n.parts = append(n.parts, text)
}

// millis returns a duration in milliseconds.
func millis(d time.Duration) string { return number(float64(d) / float64(time.Millisecond)) }

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
