package main

import (
	"bytes"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	// The TUI queries the terminal in an init function. Package quiet must prevent
	// that (TestMuteTerminal), so it is linked here in any case.
	_ "github.com/charmbracelet/bubbletea"

	"github.com/msctl/msctl/internal/test/asyncapi"
	"github.com/msctl/msctl/internal/test/testenv"
)

// helpers returns the programs that scripts can start in addition to msctl.
func helpers() map[string]func() {
	return map[string]func(){
		"service":   func() { os.Exit(runService()) },
		"website":   func() { os.Exit(runWebsite()) },
		"run-guard": func() { os.Exit(run()) },
	}
}

// scriptCommands returns the commands of scripts in addition to testscript's own.
func scriptCommands() map[string]func(ts *testscript.TestScript, neg bool, args []string) {
	return map[string]func(ts *testscript.TestScript, neg bool, args []string){
		"exitcode":  wantExitCode,
		"limited":   limited,
		"waitfile":  waitFile,
		"readenv":   readEnv,
		"expand":    expandFile,
		"asyncapi":  checkAsyncAPI,
		"findenv":   findEnv,
		"findhint":  findHint,
		"follow":    followHint,
		"broker":    startBroker,
		"natslogin": startNATSWithLogin,
		"worker":    startWorker,
		"peer":      startPeer,
		"older":     makeOlder,
		"edit":      editFile,

		// needrabbitmq skips the script if RabbitMQ is not installed.
		"needrabbitmq": func(ts *testscript.TestScript, _ bool, _ []string) { testenv.NeedRabbitMQ(testOf(ts)) },
	}
}

// wantExitCode is `exitcode CODE PROGRAM [ARG…]`. It runs the program and checks its
// exit code.
func wantExitCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exitcode CODE PROGRAM [ARG…]")
	}
	if code := codeOf(ts, args[1:]); code != args[0] {
		ts.Fatalf("%s: exit code %s, want %s", strings.Join(args[1:], " "), code, args[0])
	}
}

func codeOf(ts *testscript.TestScript, args []string) (code string) {
	err := ts.Exec(args[0], args[1:]...)
	if err == nil {
		return "0"
	}
	// Exec returns an error with the text of an *exec.ExitError: "exit status N".
	code, found := strings.CutPrefix(err.Error(), "exit status ")
	if !found {
		ts.Fatalf("%s: %v", args[0], err)
	}
	return code
}

// limited is `limited CODE REGEXP PROGRAM [ARG…]`. It runs the program with a short
// duration in place of the argument LIMIT, and again with longer ones until the exit code
// is CODE and its output matches REGEXP. It is for a timeout that is expected to pass, but
// within which something else must happen first, which takes long on a busy machine.
func limited(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 || !slices.Contains(args, "LIMIT") {
		ts.Fatalf("usage: limited CODE REGEXP PROGRAM [ARG…], with an argument LIMIT")
	}
	want, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	for limit := 250 * time.Millisecond; ; limit *= 4 {
		command := slices.Clone(args[2:])
		command[slices.Index(command, "LIMIT")] = limit.String()
		code := codeOf(ts, command)
		if code == args[0] && want.MatchString(ts.ReadFile("stdout")+ts.ReadFile("stderr")) {
			return
		}
		if limit > 10*time.Second {
			ts.Fatalf("%s: exit code %s, want %s, with a match for %s", strings.Join(command, " "), code, args[0], args[1])
		}
	}
}

// checkAsyncAPI is `asyncapi FILE`. The file must be an AsyncAPI document.
func checkAsyncAPI(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: asyncapi FILE")
	}
	ts.Check(asyncapi.Check([]byte(ts.ReadFile(args[0]))))
}

// waitFile is `waitfile FILE [TEXT]`. It waits until a background program has written
// something (or TEXT) to FILE.
func waitFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: waitfile FILE [TEXT]")
	}
	if !eventually(func() bool {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		return err == nil && len(bytes.TrimSpace(text)) > 0 && (len(args) == 1 || strings.Contains(string(text), args[1]))
	}) {
		ts.Fatalf("timed out waiting for %s", args[0])
	}
}

// readEnv is `readenv NAME FILE`. It sets a variable to the content of FILE.
func readEnv(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: readenv NAME FILE")
	}
	waitFile(ts, false, args[1:])
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile(args[1])))
}

// findEnv is `findenv NAME FILE REGEXP`. It waits until REGEXP matches in FILE, and
// sets a variable to the text of its group.
func findEnv(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: findenv NAME FILE REGEXP")
	}
	pattern, err := regexp.Compile(args[2])
	ts.Check(err)
	var found [][]byte
	if !eventually(func() bool {
		text, _ := os.ReadFile(ts.MkAbs(args[1])) // no match if the file does not exist yet
		found = pattern.FindSubmatch(text)
		return len(found) > 1
	}) {
		ts.Fatalf("%s does not match %s", args[1], args[2])
	}
	ts.Setenv(args[0], string(found[1]))
}

// findHint is `findhint NAME`. It sets a variable to the address that the hint of the last
// command names.
func findHint(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: findhint NAME")
	}
	found := regexp.MustCompile(`(?m)^hint: use (\S+)`).FindStringSubmatch(ts.ReadFile("stderr"))
	if found == nil {
		ts.Fatalf("the hint names no address")
	}
	ts.Setenv(args[0], found[1])
}

// followHint is `follow CODE [WORD=TEXT…]`. It runs the first command that the hint of the last command names, with
// each WORD, such as NAME, replaced by what a user would write there.
func followHint(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: follow CODE [WORD=TEXT…]")
	}
	found := regexp.MustCompile("(?m)^hint: .*?`msctl ([^`|]+)").FindStringSubmatch(ts.ReadFile("stderr"))
	if found == nil {
		ts.Fatalf("the hint names no command")
	}
	words := strings.Fields(found[1])
	for _, replacement := range args[1:] {
		word, text, _ := strings.Cut(replacement, "=")
		i := slices.Index(words, word)
		if i < 0 {
			ts.Fatalf("%q has no %s", found[1], word)
		}
		words[i] = text
	}
	wantExitCode(ts, false, append([]string{args[0], "msctl"}, words...))
}

// startNATSWithLogin is `natslogin nkey|creds NAME FILE`. It starts a NATS server that accepts
// only one user, whose credentials it writes into FILE, and sets the variables of startBroker.
func startNATSWithLogin(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: natslogin nkey|creds NAME FILE")
	}
	login := testenv.NATSKey(testOf(ts))
	text := login.Seed + "\n"
	if args[0] == "creds" {
		login = testenv.NATSCreds(testOf(ts), time.Now().Add(time.Hour))
		text = login.Creds
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(text), 0o600))
	startBroker(ts, false, append([]string{"nats", args[1]}, login.Config...))
}

// testKey is the key of the test in the values of a script.
type testKey struct{}

func testOf(ts *testscript.TestScript) testing.TB { return ts.Value(testKey{}).(testing.TB) }

// startBroker is `broker KIND NAME [LINE…]`. It sets the variable NAME to the URL of a
// broker (rabbitmq, redis, or nats), and NAME_ADDR to its host:port. With lines of
// configuration the broker is private.
func startBroker(ts *testscript.TestScript, neg bool, args []string) {
	kinds := map[string]func(testing.TB, ...string) *testenv.Broker{
		"rabbitmq": testenv.RabbitMQ, "redis": testenv.PrivateRedis, "nats": testenv.PrivateNATS,
	}
	if neg || len(args) < 2 || kinds[args[0]] == nil {
		ts.Fatalf("usage: broker rabbitmq|redis|nats NAME [LINE…]")
	}
	b := kinds[args[0]](testOf(ts), args[2:]...)
	ts.Setenv(args[1], b.URL)
	ts.Setenv(args[1]+"_ADDR", b.Addr)
}

// startWorker is `worker URL PLACE [REPLY…]`, see rawWorker.
func startWorker(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: worker URL PLACE [REPLY…]")
	}
	rawWorker(testOf(ts), args[0], args[1], args[2:]...)
}

// startPeer is `peer NAME BYTES [greets] [closes]`. It sets the variable NAME to the
// address of a rawPeer. In BYTES, escapes have the meaning that they have in Go.
func startPeer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: peer NAME BYTES [greets] [closes]")
	}
	sends, err := strconv.Unquote(`"` + strings.ReplaceAll(args[1], `"`, `\"`) + `"`)
	ts.Check(err)
	ts.Setenv(args[0], rawPeer(testOf(ts), sends, slices.Contains(args, "greets"), slices.Contains(args, "closes")))
}

// eventually waits until a condition holds. The timeout is long, because a broker starts
// slowly on a busy machine.
func eventually(holds func() bool) bool { return testenv.Poll(5*time.Minute, holds) }

// expandFile is `expand FILE`. It replaces $NAME in FILE by the value of the variable.
func expandFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: expand FILE")
	}
	text := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

// waitForText waits until a program has written something to a file, and returns it.
func waitForText(t *testing.T, file string) string {
	t.Helper()
	var text []byte
	if !eventually(func() bool {
		text, _ = os.ReadFile(file) // empty if the file does not exist yet
		return len(text) > 0
	}) {
		t.Fatalf("timed out waiting for %s", file)
	}
	return string(text)
}
