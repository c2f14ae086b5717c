package webhook

import (
	"crypto"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/msctl/msctl/runtime/gateway"
)

// sender is a sender whose signature was computed by others: the first two are in the
// documentation of the schemes, and testdata/sign.sh computes all of them with openssl.
type sender struct {
	name    string
	verify  func(secrets ...string) (gateway.Verifier, error)
	secret  string
	header  map[string]string // of what is signed
	body    string
	want    gateway.Delivery
	further map[string]string // headers that are not signed
}

const programs = "shared secret of two programs"

func custom(c HMACConfig) func(...string) (gateway.Verifier, error) {
	return func(secrets ...string) (gateway.Verifier, error) { return HMAC(c, secrets...) }
}

var senders = []sender{
	{
		name: "standard", verify: Standard, secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		header: map[string]string{"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330", "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
		body:   `{"test": 2432232314}`,
		want:   gateway.Delivery{ID: "msg_p5jXN8AQM9LWM0D4loKWxJek", Sent: time.Unix(1614265330, 0)},
	},
	{
		name: "github", verify: GitHub, secret: "It's a Secret to Everybody",
		header:  map[string]string{"X-Hub-Signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"},
		body:    "Hello, World!",
		further: map[string]string{"X-GitHub-Event": "push", "X-GitHub-Delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958"},
		want:    gateway.Delivery{Metadata: map[string]string{"x-github-event": "push", "x-github-delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958"}},
	},
	{
		name: "stripe", verify: Stripe, secret: "whsec_0123456789abcdef",
		header: map[string]string{"Stripe-Signature": "t=1492774577,v1=5489a411ee838895d0a45cb7adc34ddac2a660aefc8b452184ad4cb72295a135"},
		body:   `{"id":"evt_1","object":"event"}`,
		want:   gateway.Delivery{ID: "evt_1", Sent: time.Unix(1492774577, 0)},
	},
	{
		name: "base64 and SHA-512", verify: custom(HMACConfig{Header: "X-Signature", Hash: crypto.SHA512, Encoding: Base64, TimestampHeader: "X-Time"}), secret: programs,
		header: map[string]string{"X-Time": "1531420618", "X-Signature": "WQwk91C9tMKtAMrWwQirdxnImJNOQlyw628PZbU5sAePsmJJ4ELLFs6N7V/p2yUsg4K1f/Nlcr6gRjsZGsatbA=="},
		body:   `{"text":"Grüße"}`,
		want:   gateway.Delivery{Sent: time.Unix(1531420618, 0)},
	},
	{
		name: "ID", verify: custom(HMACConfig{Header: "X-Signature", Prefix: "v0=", TimestampHeader: "X-Time", IDHeader: "X-Id", Signed: "v0:{id}:{timestamp}:{body}"}), secret: programs,
		header: map[string]string{"X-Id": "evt_7", "X-Time": "1531420618", "X-Signature": "v0=50b45cfa258a33f1398490b5b44cc0c24d3761808ea0a28034cb481d4224e5c4"},
		body:   `{"text":"Grüße"}`,
		want:   gateway.Delivery{ID: "evt_7", Sent: time.Unix(1531420618, 0)},
	},
	{
		name: "body and SHA-384", verify: custom(HMACConfig{Header: "X-Signature", Hash: crypto.SHA384}), secret: programs,
		header: map[string]string{"X-Signature": "b2803426f00968c6735c56f86bbc3fa79f18407ab92da591c77631da4bc161da897953fc24369f5064d1b05a78a62464"},
		body:   `{"action":"opened"}`,
	},
}

func (s sender) verifier(t *testing.T, secrets ...string) gateway.Verifier {
	t.Helper()
	v, err := s.verify(secrets...)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func headerOf(lists ...map[string]string) http.Header {
	h := http.Header{}
	for _, list := range lists {
		for name, value := range list {
			h.Set(name, value)
		}
	}
	return h
}

func TestVectors(t *testing.T) {
	for _, s := range senders {
		t.Run(s.name, func(t *testing.T) {
			got, err := s.verifier(t, s.secret).Verify(headerOf(s.header, s.further), []byte(s.body))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(s.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestChangedByOneByte changes every byte of a webhook that is signed, or is the signature.
func TestChangedByOneByte(t *testing.T) {
	for _, s := range senders {
		t.Run(s.name, func(t *testing.T) {
			v := s.verifier(t, s.secret)
			rejected := func(what string, header map[string]string, body string) {
				t.Helper()
				if d, err := v.Verify(headerOf(header), []byte(body)); err == nil {
					t.Errorf("%s: accepted: %+v", what, d)
				}
			}
			for i := range s.body {
				for _, bit := range []byte{1, 0x20, 0x80} {
					changed := []byte(s.body)
					changed[i] ^= bit
					rejected(fmt.Sprintf("body, byte %d", i), s.header, string(changed))
				}
			}
			rejected("body, one more", s.header, s.body+" ")
			rejected("body, one less", s.header, s.body[:len(s.body)-1])
			rejected("body, none", s.header, "")
			for name, text := range s.header {
				for i := range text {
					for _, bit := range []byte{1, 2, 0x20, 0x80} {
						changed := []byte(text)
						changed[i] ^= bit
						header := maps.Clone(s.header)
						header[name] = string(changed)
						rejected(fmt.Sprintf("%s: %q", name, changed), header, s.body)
					}
				}
				header := maps.Clone(s.header)
				for what, value := range map[string]string{"one less": text[:len(text)-1], "one more": text + "x", "a sign": "+" + text, "a zero": "0" + text, "none": ""} {
					header[name] = value
					rejected(name+", "+what, header, s.body)
				}
				delete(header, name)
				rejected(name+", missing", header, s.body)
				twice := headerOf(s.header)
				twice.Add(name, text)
				if _, err := v.Verify(twice, []byte(s.body)); err == nil {
					t.Errorf("%s, twice: accepted", name)
				}
			}
		})
	}
}

// TestSecrets checks that secrets can be replaced one after the other, and that a webhook
// that is signed by another secret is rejected.
func TestSecrets(t *testing.T) {
	for _, s := range senders {
		t.Run(s.name, func(t *testing.T) {
			other := "another secret, with 24 bytes or more"
			if s.name == "standard" {
				other = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"
			}
			for _, secrets := range [][]string{{other, s.secret}, {s.secret, other}, {s.secret + "\n"}} {
				if _, err := s.verifier(t, secrets...).Verify(headerOf(s.header), []byte(s.body)); err != nil {
					t.Errorf("%q: %v", secrets, err)
				}
			}
			if _, err := s.verifier(t, other).Verify(headerOf(s.header), []byte(s.body)); err == nil {
				t.Error("the wrong secret was accepted")
			}
			for _, secret := range []string{"", " \n", "short", "whsec_", "whsec_c2hvcnQ="} {
				if _, err := s.verify(s.secret, secret); err == nil || secret != "" && strings.TrimSpace(secret) != "" && strings.Contains(err.Error(), secret) {
					t.Errorf("the secret %q: %v", secret, err)
				}
			}
			if _, err := s.verify(); err == nil {
				t.Error("no secret was accepted")
			}
		})
	}
	if _, err := Standard("no base64: äöü"); err == nil || strings.Contains(err.Error(), "äöü") {
		t.Error(err)
	}
}

// TestStandardLibrary compares the verifier with the official library, which signs.
func TestStandardLibrary(t *testing.T) {
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	library, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	v, err := Standard(secret)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	timestamp := strconv.FormatInt(now.Unix(), 10)
	for i, body := range []string{`{}`, `{"a":"ä\u0000"}`, strings.Repeat("x", 1<<20), "\xff\x00"} {
		id := fmt.Sprint("msg_", i)
		signature, err := library.Sign(id, now, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		for _, signatures := range []string{signature, "v1,AAAA " + signature, "v1a,AAAA " + signature + " v2,x"} {
			h := headerOf(map[string]string{"webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signatures})
			if _, err := v.Verify(h, []byte(body)); err != nil || library.Verify([]byte(body), h) != nil {
				t.Errorf("%d %q: %v", i, signatures, err)
			}
		}
	}
	// What the library accepts, and the guard does not.
	for _, id := range []string{"msg.1", "msg:1", "msg 1", "msg\x7f", strings.Repeat("x", 129)} {
		signature, err := library.Sign(id, now, []byte("{}"))
		if err != nil {
			t.Fatal(err)
		}
		h := headerOf(map[string]string{"webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signature})
		if _, err := v.Verify(h, []byte("{}")); err == nil || library.Verify([]byte("{}"), h) != nil {
			t.Errorf("%q: %v", id, err)
		}
	}
}

// TestManySignatures checks that a webhook is not compared with any number of signatures. Where
// the limit is, the valid one is the last.
func TestManySignatures(t *testing.T) {
	for _, s := range []sender{senders[0], senders[2]} {
		t.Run(s.name, func(t *testing.T) {
			v := s.verifier(t, s.secret)
			name, separator, wrong, first := "webhook-signature", " ", "v1,AAAA", ""
			if s.name == "stripe" {
				name, separator, wrong, first = "Stripe-Signature", ",", "v1=00", "t=1492774577,"
			}
			valid := strings.TrimPrefix(s.header[name], first)
			for _, n := range []int{maxSignatures, maxSignatures + 1, 100_000} {
				header := maps.Clone(s.header)
				header[name] = first + strings.Repeat(wrong+separator, n-1) + valid
				if _, err := v.Verify(headerOf(header), []byte(s.body)); (err == nil) != (n <= maxSignatures) {
					t.Errorf("%d signatures: %v", n, err)
				}
			}
		})
	}
}

func TestConfig(t *testing.T) {
	for name, c := range map[string]HMACConfig{
		"no header":          {},
		"a broken hash":      {Header: "X", Hash: crypto.MD5},
		"no body":            {Header: "X", Signed: "{timestamp}", TimestampHeader: "T"},
		"unsigned time":      {Header: "X", Signed: "{body}", TimestampHeader: "T"},
		"no time":            {Header: "X", Signed: "{timestamp}.{body}"},
		"unsigned ID":        {Header: "X", IDHeader: "I"},
		"no ID":              {Header: "X", Signed: "{id}.{body}"},
		"ID without its own": {Header: "X", Signed: "{id}.{body}", TimestampHeader: "T"},
	} {
		if _, err := HMAC(c, programs); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestSchemes checks what the OpenAPI document gets.
func TestSchemes(t *testing.T) {
	for _, s := range senders {
		name, scheme := s.verifier(t, s.secret).Scheme()
		if _, sent := headerOf(s.header)[http.CanonicalHeaderKey(scheme.Name)]; name == "" || scheme.Type != "apiKey" || scheme.In != "header" || !sent || scheme.Description == "" {
			t.Errorf("%s: %q %+v", s.name, name, scheme)
		}
	}
}

// TestConstantTime checks that secrets and signatures are compared by hmac.Equal alone: the
// package calls nothing else that compares bytes, and converts no signature to compare it.
func TestConstantTime(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	compares := 0
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, text, 0)
		if err != nil {
			t.Fatal(err)
		}
		for node := range ast.Preorder(file) {
			switch n := node.(type) {
			case *ast.SelectorExpr:
				pkg, _ := n.X.(*ast.Ident)
				if pkg == nil {
					continue
				}
				called := pkg.Name + "." + n.Sel.Name
				if called == "hmac.Equal" {
					compares++
				}
				if slices.Contains([]string{"bytes.Equal", "bytes.Compare", "slices.Equal", "reflect.DeepEqual", "strings.EqualFold", "strings.Compare"}, called) {
					t.Errorf("%s: %s", set.Position(n.Pos()), called)
				}
			case *ast.BinaryExpr:
				for _, side := range []ast.Expr{n.X, n.Y} {
					if name, ok := side.(*ast.Ident); ok && slices.Contains([]string{"signature", "expected", "key", "secret"}, name.Name) && (n.Op == token.EQL || n.Op == token.NEQ) {
						t.Errorf("%s: %s is compared by an operator", set.Position(n.Pos()), name.Name)
					}
				}
			}
		}
	}
	if compares == 0 {
		t.Error("nothing is compared by hmac.Equal")
	}
}

func BenchmarkStandard(b *testing.B) {
	s := senders[0]
	v, err := s.verify(s.secret)
	if err != nil {
		b.Fatal(err)
	}
	library, err := standardwebhooks.NewWebhook(s.secret)
	if err != nil {
		b.Fatal(err)
	}
	body := []byte(strings.Repeat("x", 2048))
	signature, err := library.Sign("msg_1", time.Unix(1614265330, 0), body)
	if err != nil {
		b.Fatal(err)
	}
	h := headerOf(s.header, map[string]string{"webhook-id": "msg_1", "webhook-signature": signature})
	for b.Loop() {
		if _, err := v.Verify(h, body); err != nil {
			b.Fatal(err)
		}
	}
}
