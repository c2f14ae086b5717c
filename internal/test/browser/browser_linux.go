package browser

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
)

// safety limits every wait. A machine may be busy.
const safety = 2 * time.Minute

// Browser is headless Chromium with one page, driven over a pipe by the DevTools protocol. It ends
// with the test, and when this process dies. One goroutine reads its messages, until it ends.
type Browser struct {
	t       *testing.T
	cmd     *exec.Cmd
	to      *os.File
	session string

	mu      sync.Mutex
	last    int
	waiting map[int]chan message
	events  []message
}

// message is a command, its result, or an event.
type message struct {
	ID      int             `json:"id,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// Need skips a test, before its preparations, if Chromium is not installed.
func Need(t *testing.T) {
	t.Helper()
	if find() == "" {
		t.Skip("chromium is not installed")
	}
}

// find returns the path of Chromium, or "".
func find() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			return found
		}
	}
	return ""
}

// New starts Chromium, which can reach this machine only.
func New(t *testing.T) *Browser {
	t.Helper()
	path := find()
	if path == "" {
		t.Skip("chromium is not installed")
	}
	home := t.TempDir()
	cmd := exec.CommandContext(context.Background(), path, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", //nolint:gosec // a browser
		"--no-first-run", "--disable-extensions", "--disable-background-networking", "--disable-component-update", "--window-size=1200,1400",
		"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--user-data-dir="+filepath.Join(home, "profile"), "--remote-debugging-pipe", "about:blank")
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	log := &testenv.Log{}
	cmd.Stderr = log
	commands, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	from, results, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.ExtraFiles = []*os.File{commands, results}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = commands.Close()
	_ = results.Close()
	b := &Browser{t: t, cmd: cmd, to: to, waiting: map[int]chan message{}}
	read := make(chan struct{})
	go func() {
		defer close(read)
		b.read(from)
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		_ = to.Close()
		<-read
		_ = from.Close()
		if t.Failed() {
			t.Logf("output of chromium:\n%s", log)
		}
	})
	return b
}

// read delivers results, and keeps events.
func (b *Browser) read(from *os.File) {
	messages := bufio.NewReader(from)
	for {
		text, err := messages.ReadBytes(0)
		if err != nil {
			break
		}
		var m message
		if json.Unmarshal(text[:len(text)-1], &m) != nil {
			continue
		}
		b.mu.Lock()
		if m.Method != "" {
			b.events = append(b.events, m)
		} else if c := b.waiting[m.ID]; c != nil {
			delete(b.waiting, m.ID)
			c <- m
		}
		b.mu.Unlock()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.waiting {
		close(c)
	}
	b.waiting = nil
}

// Call executes a command. It ends the test if the command fails.
func (b *Browser) Call(method string, params, result any) {
	b.t.Helper()
	if err := b.try(method, params, result); err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
}

func (b *Browser) try(method string, params, result any) error {
	args, err := json.Marshal(params)
	if err != nil {
		return err
	}
	done := make(chan message, 1)
	b.mu.Lock()
	if b.waiting == nil {
		b.mu.Unlock()
		return errors.New("the browser has exited")
	}
	b.last++
	id := b.last
	b.waiting[id] = done
	text, err := json.Marshal(message{ID: id, Method: method, Params: args, Session: b.session})
	if err == nil {
		_, err = b.to.Write(append(text, 0))
	}
	b.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case m, ok := <-done:
		switch {
		case !ok:
			return errors.New("the browser has exited")
		case m.Error != nil:
			return errors.New(m.Error.Message)
		case result != nil:
			return json.Unmarshal(m.Result, result)
		}
		return nil
	case <-time.After(safety):
		return errors.New("no answer")
	}
}

// Open opens a page, whose events are kept.
func (b *Browser) Open(url string) {
	b.t.Helper()
	var target struct{ TargetID string }
	b.Call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.Call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	for _, domain := range []string{"Page", "Runtime", "Network", "Log"} {
		b.Call(domain+".enable", map[string]any{}, nil)
	}
	b.Call("Page.navigate", map[string]any{"url": url}, nil)
}

// Eval returns the value of a JavaScript expression, or of the promise that it is.
func (b *Browser) Eval(expression string) (value any) {
	b.t.Helper()
	value, err := b.evaluate(expression)
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return value
}

func (b *Browser) evaluate(expression string) (value any, err error) {
	var result struct {
		Result           struct{ Value any }
		ExceptionDetails *struct{ Exception struct{ Description string } }
	}
	err = b.try("Runtime.evaluate", map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true}, &result)
	if e := result.ExceptionDetails; e != nil {
		err = errors.New(e.Exception.Description)
	}
	return result.Result.Value, err
}

// Wait waits until a JavaScript expression is true. The page may change meanwhile.
func (b *Browser) Wait(condition string) {
	b.t.Helper()
	expression := fmt.Sprintf(`new Promise(done => {
		const limit = Date.now() + %d;
		const look = () => { let ok = false; try { ok = %s } catch {}
			if (ok || Date.now() > limit) done(!!ok); else setTimeout(look, 10) };
		look() })`, (safety / 2).Milliseconds(), condition)
	for began := time.Now(); ; {
		done, err := b.evaluate(expression)
		switch {
		case err == nil && done == true:
			return
		case err != nil && time.Since(began) < safety/2: // the page has gone, and with it the promise
			continue
		}
		b.Screenshot("failed", "body")
		b.t.Fatalf("never true: %s\nthe page: %v", condition, b.Eval("document.body.innerText"))
	}
}

// Click waits for an element, and clicks it.
func (b *Browser) Click(selector string) {
	b.t.Helper()
	b.Wait(fmt.Sprintf("document.querySelector(%q)", selector))
	b.Eval(fmt.Sprintf("document.querySelector(%q).click()", selector))
}

// Fill types text into a field, and leaves it, which is when the page takes over the text.
func (b *Browser) Fill(selector, text string) {
	b.t.Helper()
	b.Wait(fmt.Sprintf("document.querySelector(%q)", selector))
	b.Eval(fmt.Sprintf("document.querySelector(%[1]q).focus(), document.querySelector(%[1]q).select()", selector))
	b.Call("Input.insertText", map[string]any{"text": text}, nil)
	b.Eval(fmt.Sprintf("document.querySelector(%q).blur()", selector))
}

// Screenshot writes a picture of the page, from an element on, to the folder
// MSCTL_TEST_SCREENSHOTS, if it is set.
func (b *Browser) Screenshot(name, from string) {
	b.t.Helper()
	dir := os.Getenv("MSCTL_TEST_SCREENSHOTS")
	if dir == "" {
		return
	}
	b.Eval(fmt.Sprintf("document.querySelector(%q)?.scrollIntoView()", from))
	var picture struct{ Data string }
	b.Call("Page.captureScreenshot", map[string]any{"format": "png"}, &picture)
	raw, err := base64.StdEncoding.DecodeString(picture.Data)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), raw, 0o644)
	}
	if err != nil {
		b.t.Error(err)
	}
}

// Seen returns the events of a method.
func (b *Browser) Seen(method string) (all []json.RawMessage) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.events {
		if e.Method == method {
			all = append(all, e.Params)
		}
	}
	return all
}
