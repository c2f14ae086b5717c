package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/msctl/msctl/internal/test/browser"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// page is the web client in a browser.
type page struct {
	*browser.Browser
	t    *testing.T
	shop *shop
	axe  string
	name string // of the screenshots
}

// TestWebClient uses a built web client of a workspace, from signing in to signing out, and while
// its gateway or its service is not available.
func TestWebClient(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a web client")
	}
	browser.Need(t)
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(program + " is not installed")
		}
	}
	s := newShop(t)
	p := &page{browser.New(t), t, s, axe(t), ""}
	p.Open(s.url)
	for _, step := range []struct {
		name string
		run  func(*page)
	}{
		{"requests", requests},
		{"sign in", signIn},
		{"create", create},
		{"edit", edit},
		{"conflict", conflict},
		{"search and pages", pages},
		{"delete as a user", deleteAsUser},
		{"delete as an administrator", deleteAsAdministrator},
		{"service down", serviceDown},
		{"too many requests", tooManyRequests},
		{"offline", offline},
		{"session expires", expired},
		{"sign out", signOut},
		{"looks", looks},
	} {
		t.Log(step.name)
		step.run(p)
	}
	p.checkQuiet()
}

// shot takes a picture of the page, and wants that axe finds no violation of accessibility.
func (p *page) shot(name string) {
	p.t.Helper()
	p.Screenshot(p.name+name, "body")
	p.Eval(p.axe + ";0")
	found := p.Eval(`axe.run().then(r => JSON.stringify(r.violations.map(v => [v.id, v.nodes.map(n => n.html + ' ' + n.failureSummary)])))`)
	if found != "[]" {
		p.t.Errorf("%s: axe: %v", name, found)
	}
	if wide := p.Eval(`document.documentElement.scrollWidth > innerWidth`); wide != false {
		p.t.Errorf("%s: wider than the window", name)
	}
}

// see waits until a text is in the page.
func (p *page) see(text string) {
	p.t.Helper()
	p.Wait(fmt.Sprintf("document.body.innerText.includes(%q)", text))
}

// press clicks the button with a text or a label, when it is enabled.
func (p *page) press(label string) {
	p.t.Helper()
	find := fmt.Sprintf("[...(document.querySelector('dialog') ?? document).querySelectorAll('button:enabled')].find(b => b.innerText == %[1]q || b.ariaLabel == %[1]q)", label)
	p.Wait("!!" + find)
	p.Eval(find + ".click()")
}

// enter replaces the text of a field, and leaves it.
func (p *page) enter(selector, text string) {
	p.t.Helper()
	p.Wait(fmt.Sprintf("document.querySelector(%q)?.readOnly === false", selector))
	p.Fill(selector, text)
}

// rows returns the names in the list.
func (p *page) rows() string {
	p.t.Helper()
	return fmt.Sprint(p.Eval("[...document.querySelectorAll('.items h2')].map(e => e.innerText).join()"))
}

// loaded is true when the page shows what it has loaded, or why it could not.
const loaded = "document.querySelector('.items:not(.placeholder), .empty, .notice, #token')"

// reload loads the page again, and waits for the new one.
func (p *page) reload() {
	p.t.Helper()
	p.Eval("window.before = true; location.reload()")
	p.Wait("!window.before && " + loaded)
}

func (p *page) signInAs(subject string, roles ...string) {
	p.t.Helper()
	p.Wait("location.pathname == '/sign-in' && document.readyState == 'complete'")
	p.enter("#token", token(p.t, subject, roles...))
	p.press("Sign in")
	p.Wait("location.pathname == '/' && " + loaded)
}

// requests sends requests that no page of the client sends.
func requests(p *page) {
	t, s := p.t, p.shop
	cookie := "__Host-session=" + token(t, "ada")
	for _, c := range []struct {
		name, method, path, body string
		header                   map[string]string
		want                     int
	}{
		{"a page without a session", "GET", "/", "", nil, 307},
		{"the API without a session", "GET", "/api/items", "", nil, 401},
		{"the API", "GET", "/api/items", "", map[string]string{"Cookie": cookie}, 200},
		{"a write without Origin", "POST", "/api/items", `{"name":"a","price":1}`, map[string]string{"Cookie": cookie}, 403},
		{"a write of another site", "POST", "/api/items", `{"name":"a","price":1}`, map[string]string{"Cookie": cookie, "Origin": "https://evil.example"}, 403},
		{"a write of an opaque origin", "DELETE", "/api/items/1", "", map[string]string{"Cookie": cookie, "Origin": "null"}, 403},
		{"signing in from another site", "POST", "/session", token(t, "eve"), map[string]string{"Origin": "https://evil.example"}, 403},
		{"signing out from another site", "DELETE", "/session", "", map[string]string{"Cookie": cookie, "Origin": "https://evil.example"}, 403},
		{"not a token", "POST", "/session", "two words", map[string]string{"Origin": s.url}, 400},
		{"a foreign token", "POST", "/session", token(t, "ada") + "x", map[string]string{"Origin": s.url}, 401},
		{"another part of the API", "GET", "/api/health", "", map[string]string{"Cookie": cookie}, 404},
		{"the root of the API", "GET", "/api/items/%2E%2E/health", "", map[string]string{"Cookie": cookie}, 404},
		{"another host", "GET", "/api//evil.example/items", "", map[string]string{"Cookie": cookie}, 308},
		{"a body that is too large", "POST", "/api/items", strings.Repeat("x", 70_000), map[string]string{"Cookie": cookie, "Origin": s.url}, 413},
	} {
		if status, _, body := send(t, c.method, s.url+c.path, c.body, c.header); status != c.want {
			t.Errorf("%s: %s %s: %d %s, want %d", c.name, c.method, c.path, status, body, c.want)
		}
	}
	checkHeaders(p)
	checkCookie(p)
}

// checkHeaders wants the headers that protect a page.
func checkHeaders(p *page) {
	_, first, body := send(p.t, "GET", p.shop.url+"/sign-in", "", nil)
	_, second, _ := send(p.t, "GET", p.shop.url+"/sign-in", "", nil)
	policy := first.Get("Content-Security-Policy")
	for _, part := range []string{"default-src 'none'", "script-src 'nonce-", "'strict-dynamic'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'", "connect-src 'self';"} {
		if !strings.Contains(policy, part) {
			p.t.Errorf("the policy lacks %s: %s", part, policy)
		}
	}
	if strings.Contains(policy, "unsafe") || policy == second.Get("Content-Security-Policy") {
		p.t.Errorf("the policy is not strict, or has the same nonce again: %s", policy)
	}
	for _, script := range regexp.MustCompile(`<script[^>]*>`).FindAllString(body, -1) {
		if !strings.Contains(script, "nonce=") {
			p.t.Errorf("no nonce: %s", script)
		}
	}
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin", "X-Powered-By": "",
	} {
		if got := first.Get(name); got != want {
			p.t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// checkCookie wants that scripts and other sites cannot use the session.
func checkCookie(p *page) {
	status, header, _ := send(p.t, "POST", p.shop.url+"/session", token(p.t, "ada"), map[string]string{"Origin": p.shop.url})
	cookies := (&http.Response{Header: header}).Cookies()
	if status != http.StatusNoContent || len(cookies) != 1 {
		p.t.Fatalf("status %d, cookies %v", status, cookies)
	}
	if c := cookies[0]; !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" || c.Expires.IsZero() {
		p.t.Errorf("cookie %+v", c)
	}
}

func signIn(p *page) {
	p.Wait("location.pathname == '/sign-in'")
	p.enter("#token", "not-a-token")
	p.press("Sign in")
	p.see("The gateway does not accept this token")
	p.shot("sign-in")
	p.signInAs("ada")
	p.see("ada")
	p.see("There are no items yet")
	p.shot("empty")
	secret := token(p.t, "ada")[:20]
	if seen := p.Eval(fmt.Sprintf(`document.cookie + JSON.stringify(localStorage) + JSON.stringify(sessionStorage) + (document.documentElement.outerHTML.includes(%q) ? 'in the page' : '')`, secret)); seen != "{}{}" {
		p.t.Errorf("the page sees the token: %v", seen)
	}
}

func create(p *page) {
	p.press("New item")
	p.enter("#price", "-1")
	p.press("Create")
	p.Wait(`document.querySelectorAll('dialog [aria-invalid=true]').length == 2 && document.activeElement.id == 'name'`)
	if text := p.Eval(`document.querySelector('#price-error').innerText`); text != "Price must not be less than 0" {
		p.t.Errorf("the error of the price: %v", text)
	}
	p.shot("errors")
	p.enter("#name", "Stoneware mug")
	p.enter("#price", "many")
	p.press("Create")
	p.see("Price must be a number")
	p.enter("#price", "18.90")
	p.enter("#tags", "kitchen, ceramic")
	p.press("Create")
	p.see("“Stoneware mug” is created.")
	p.Wait(`document.querySelector('.price').innerText == '18.90' && document.querySelectorAll('.tags span').length == 2`)
}

func edit(p *page) {
	p.press("Edit Stoneware mug")
	p.enter("#price", "19.5")
	p.shot("edit")
	p.press("Save")
	p.see("“Stoneware mug” is saved.")
	p.Wait(`document.querySelector('.price').innerText == '19.50'`)
}

// conflict: another user saves the item while this one edits it.
func conflict(p *page) {
	id := fmt.Sprint(p.Eval(`fetch('/api/items').then(r => r.json()).then(items => items[0].id)`))
	p.press("Edit Stoneware mug")
	p.enter("#price", "17")
	p.shop.do("PATCH", "/items/"+id, map[string]any{"price": 21.5, "tags": []string{"kitchen"}})
	p.press("Save")
	p.see("The item has changed meanwhile")
	if chosen := p.Eval(`[...document.querySelectorAll('.choice')].map(f => f.querySelector('legend').innerText + ': ' + f.querySelector(':checked').closest('label').innerText.split('\n').at(-1)).join('; ')`); chosen != "Price: 17; Tags: kitchen" {
		p.t.Errorf("proposed: %v", chosen)
	}
	p.shot("conflict")
	p.press("Save my choice")
	p.see("“Stoneware mug” is saved.")
	if got := p.Eval(`fetch('/api/items').then(r => r.json()).then(items => items[0].price + ' ' + items[0].tags)`); got != "17 kitchen" {
		p.t.Errorf("saved: %v", got)
	}

	p.press("Edit Stoneware mug")
	p.enter("#name", "Mug")
	p.shop.do("PATCH", "/items/"+id, map[string]any{"name": "Stoneware cup"})
	p.press("Save")
	p.press("Discard mine")
	p.see("“Stoneware cup” is unchanged.")
}

func pages(p *page) {
	for i := range 24 {
		p.shop.do("POST", "/items", map[string]any{"name": fmt.Sprintf("Widget %d", i+1), "price": 9.99 + float64(i)})
	}
	p.reload()
	p.see("Widget 19")
	p.shot("list")
	p.press("Next")
	p.see("Widget 24")
	if rows := p.rows(); rows != "Widget 20,Widget 21,Widget 22,Widget 23,Widget 24" {
		p.t.Errorf("second page: %s", rows)
	}
	p.press("Previous")
	p.see("Stoneware cup")
	p.Fill("[type=search]", "WIDGET 2")
	p.Wait(`document.querySelectorAll('.items li').length == 6 && location.search == '?search=WIDGET%202'`)
	p.Fill("[type=search]", "nothing like this")
	p.see("No item’s name contains “nothing like this”.")
	p.Fill("[type=search]", "")
	p.see("Stoneware cup")
}

func deleteAsUser(p *page) {
	p.press("Delete Stoneware cup")
	p.press("Delete")
	p.see("Only administrators may delete items.")
	p.shot("forbidden")
	p.press("Close")
	p.Wait("!document.querySelector('dialog')")
	p.press("Sign out")
	p.Wait("location.pathname == '/sign-in'")
}

func deleteAsAdministrator(p *page) {
	p.signInAs("grace", "admin")
	p.see("Stoneware cup")
	p.press("Delete Stoneware cup")
	id := fmt.Sprint(p.Eval(`fetch('/api/items').then(r => r.json()).then(items => items[0].id)`))
	p.shop.do("PATCH", "/items/"+id, map[string]any{"name": "Best cup"})
	p.press("Delete")
	p.see("The item has changed meanwhile")
	p.see("Delete “Best cup”?")
	p.press("Delete")
	p.see("is deleted.")
	p.Wait("!document.querySelector('.items').innerText.includes('cup')")
}

// serviceDown: the list explains that the service is down, and loads when it is back.
func serviceDown(p *page) {
	p.shop.items.stop(p.t)
	p.reload()
	p.see("The service is not available at the moment.")
	p.shot("down")
	p.shop.startItems()
	p.Wait("!document.querySelector('.notice') && " + loaded)

	p.shop.gateway.stop(p.t) // the web client itself responds
	p.reload()
	p.see("The service is not available at the moment.")
	p.shop.startGateway()
	p.Wait("!document.querySelector('.notice') && " + loaded)
}

// tooManyRequests: the list waits as long as the gateway asks for.
func tooManyRequests(p *page) {
	p.shop.restartGateway("RATE_LIMIT=1/1h")
	p.reload()
	p.Fill("[type=search]", "x")
	p.see("You have sent too many requests.")
	p.Wait(`/Trying again in 3[56]\d\d s/.test(document.body.innerText)`)
	p.shot("limited")
	limited := 0
	for _, event := range p.Seen("Network.responseReceived") {
		var received struct{ Response struct{ Status int } }
		if json.Unmarshal(event, &received) == nil && received.Response.Status == http.StatusTooManyRequests {
			limited++
		}
	}
	if limited != 1 {
		p.t.Errorf("%d responses with status 429: the page does not wait", limited)
	}
	p.shop.restartGateway()
	p.Fill("[type=search]", "")
	p.Wait("!document.querySelector('.notice')")
}

func offline(p *page) {
	network := map[string]any{"offline": true, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
	p.Call("Network.emulateNetworkConditions", network, nil)
	p.see("You are offline.")
	p.shot("offline")
	network["offline"] = false
	p.Call("Network.emulateNetworkConditions", network, nil)
	p.Wait("!document.querySelector('.notice')")
}

// expired: the gateway no longer accepts the token.
func expired(p *page) {
	p.shop.restartGateway("AUTH_SECRET=another secret, which has at least 32 bytes")
	p.reload()
	p.see("Your session has ended. Sign in to continue.")
	p.shot("expired")
	p.shop.restartGateway()
	p.signInAs("ada")
}

func signOut(p *page) {
	p.press("Sign out")
	p.Wait("location.pathname == '/sign-in'")
	p.Call("Page.navigate", map[string]any{"url": p.shop.url}, nil)
	p.Wait("location.pathname == '/sign-in' && document.querySelector('#token')")
	p.signInAs("ada")
}

// looks takes pictures of the most important states, in light and dark, on a desktop and a phone.
func looks(p *page) {
	for name, price := range map[string]float64{"Brass desk lamp": 129, "Linen throw": 64.5, "Walnut serving board": 48} {
		p.shop.do("POST", "/items", map[string]any{"name": name, "price": price, "tags": []string{"home", "new"}})
	}
	for _, width := range []int{1280, 375} {
		for _, scheme := range []string{"light", "dark"} {
			p.name = fmt.Sprintf("%d-%s-", width, scheme)
			p.Call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}, nil)
			p.Call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
			p.reload()
			p.shot("list")
			p.press("New item")
			p.press("Create")
			p.Wait(`document.querySelector('dialog [aria-invalid=true]')`)
			p.shot("errors")
			p.press("Cancel")
			p.Wait("!document.querySelector('dialog')")
		}
	}
}

// checkQuiet wants that the pages have requested nothing from elsewhere, violated no policy, and
// thrown nothing.
func (p *page) checkQuiet() {
	p.t.Helper()
	requests := p.Seen("Network.requestWillBeSent")
	for _, event := range requests {
		var sent struct{ Request struct{ URL string } }
		if err := json.Unmarshal(event, &sent); err != nil || !strings.HasPrefix(sent.Request.URL, p.shop.url) {
			p.t.Errorf("the page requests %s", sent.Request.URL)
		}
	}
	if len(requests) < 50 {
		p.t.Errorf("%d requests", len(requests))
	}
	for _, event := range p.Seen("Log.entryAdded") {
		var logged struct{ Entry struct{ Source, Text string } }
		if err := json.Unmarshal(event, &logged); err != nil || logged.Entry.Source != "network" { // the statuses that the test asks for
			p.t.Errorf("logged: %s", event)
		}
	}
	for _, event := range p.Seen("Runtime.exceptionThrown") {
		p.t.Errorf("thrown: %s", event)
	}
}
