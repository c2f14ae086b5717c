package secret_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/secret"
)

func TestNamed(t *testing.T) {
	for _, name := range []string{
		"Authorization", "authorization", "proxy-authorization", "Cookie", "Set-Cookie", "token", "accessToken", "access_token", "ACCESS-TOKEN",
		"X-Api-Key", "apiKey", "api_key", "apikey", "APIKey", "x-auth-token", "password", "userPassword", "DB_PASSWORD", "dbpassword", "passwd",
		"pwd", "pass", "passphrase", "secret", "clientSecret", "client_secret", "JWT_SECRET", "privateKey", "credentials", "credential", "jwt",
		"sessionId", "PHPSESSID", "connect.sid", "sig", "X-Amz-Signature", "Ocp-Apim-Subscription-Key", "refreshtoken", "csrftoken", "otp", "auth",
		"x-goog-api-key", "awsSecretAccessKey", "id_token", "mysecret",
	} {
		if !secret.Named(name) {
			t.Errorf("%s is no credential", name)
		}
	}
	for _, name := range []string{
		"", "name", "id", "key", "keys", "author", "authors", "compass", "bypass", "tokenCount", "maxTokens", "max_tokens", "passwordLength",
		"token_type", "secretary", "cookiePolicy", "expires", "price", "sessionStart", "monkey", "primaryKey", "X-Request-Id", "x-correlation-id",
		"content-type", "cmd", "status", "message", "passwordRequired", "JWT_SECRET_FILE", "assignature",
	} {
		if secret.Named(name) {
			t.Errorf("%s is a credential", name)
		}
	}
}

func TestText(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"GET http://me:hunter22@host/x?api_key=abc&n=1 failed", "GET http://me:***@host/x?api_key=***&n=1 failed"},
		{"nats://s3cr3t@host:4222", "nats://***@host:4222"},
		{"nkey SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY.", "nkey ***."},
		{"nats://host?nkey=SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY", "nats://host?nkey=***"},
		{"the seed 'SAACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY'", "the seed '***'"},
		{"UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4", "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4"},
		{"amqp://guest@localhost/queue", "amqp://guest@localhost/queue"},
		{"amqp://user:p/w@d@host", "amqp://user:***@host"},
		{"http://host:80/users/a@b.c", "http://host:80/users/a@b.c"},
		{"redis://:pw1@host", "redis://:***@host"},
		{"Authorization: Bearer abc.def", "Authorization: Bearer ***"},
		{"authorization: Basic bWU6cHc=", "authorization: Basic ***"},
		{`Cookie: a=b; c=d`, `Cookie: ***`},
		{`{"user":"me","password":"hunter22"}`, `{"user":"me","password":"***"}`},
		{`{\"password\":\"hunter22\"}`, `{\"password\":\"***\"}`},
		{`{"password": 1234, "a": 1}`, `{"password": ***, "a": 1}`},
		{"login with password=hunter22, user=me", "login with password=***, user=me"},
		{"token => abc1", "token => ***"},
		{"(apiKey='a b')", "(apiKey='a b')"}, // a sentence in quotes
		{"DB_PASSWORD=x", "DB_PASSWORD=***"},
		{"password: hunter22", "password: ***"},
		{"password: must be longer", "password: must be longer"},
		{"invalid token", "invalid token"},
		{"token: expected a string", "token: expected a string"},
		{"sent Bearer eyJhbGciOi.x.y to it", "sent Bearer *** to it"},
		{"with principal=eyJhbGciOi.eyJzdWIi.Yyst-_ and more", "with principal=*** and more"},
		{"the token eyJhbGciOi.eyJzdWIi.Yyst-_.", "the token ***."},
		{"eyJhbGciOi.eyJzdWIi is no token, and eyJ.x.y is none", "eyJhbGciOi.eyJzdWIi is no token, and eyJ.x.y is none"},
		{"bearer token required", "bearer token required"},
		{"password=$PASSWORD and token=${TOKEN}", "password=$PASSWORD and token=${TOKEN}"},
		{"password={{.password}}", "password={{.password}}"},
		{"Secret::new", "Secret::new"},
		{"the retry budget: 20%", "the retry budget: 20%"},
	} {
		if got := secret.Text(tt.text); got != tt.want {
			t.Errorf("Text(%q)\n got %q\nwant %q", tt.text, got, tt.want)
		}
		if again := secret.Text(tt.want); again != tt.want {
			t.Errorf("masked twice: %q, then %q", tt.want, again)
		}
	}
}

func TestArgument(t *testing.T) {
	for _, tt := range []struct{ arg, want, variables string }{
		{"name=Widget", "name=Widget", "name=Widget"},
		{"password=my pass phrase", "password=***", "password=$PASSWORD"},
		{"user.password=x", "user.password=***", "user.password=$PASSWORD"},
		{"credentials.user=me", "credentials.user=***", "credentials.user=$CREDENTIALS"},
		{"pin:=1234", "pin:=***", "pin:=$PIN"},
		{`user:={"name":"me","password":"x"}`, `user:={"name":"me","password":"***"}`, `user:={"name":"me","password":"$PASSWORD"}`},
		{`secrets:={"a":"x","n":5}`, `secrets:={"a":"***","n":***}`, `secrets:={"a":"$SECRETS","n":$SECRETS_2}`},
		{"password=@file", "password=@file", "password=@file"},
		{"password=$PW", "password=$PW", "password=$PW"},
		{"password={{uuid}}", "password={{uuid}}", "password={{uuid}}"},
		{"Authorization: Bearer abc", "Authorization: Bearer ***", "Authorization: Bearer $AUTHORIZATION"},
		{"-HAuthorization: abc", "-HAuthorization: ***", "-HAuthorization: $AUTHORIZATION"},
		{"--header=Cookie: a=b; c=d", "--header=Cookie: ***", "--header=Cookie: $COOKIE"},
		{"X-Tenant: shop", "X-Tenant: shop", "X-Tenant: shop"},
		{`{"a":[{"apiKey":"x"}],"n":1}`, `{"a":[{"apiKey":"***"}],"n":1}`, `{"a":[{"apiKey":"$API_KEY"}],"n":1}`},
		{`{"password":"x`, `{"password":"***`, `{"password":"$PASSWORD`},
		{"http://h/x?api_key=a%20b&n=1#f", "http://h/x?api_key=***&n=1#f", "http://h/x?api_key=$API_KEY&n=1#f"},
		{"--to=nats://me:pw@h", "--to=nats://me:***@h", "--to=nats://me:$PASSWORD@h"},
		{"password={abc", "password=***", "password=$PASSWORD"},
		{"rate=5/s", "rate=5/s", "rate=5/s"},
	} {
		if got := secret.Argument(tt.arg); got != tt.want {
			t.Errorf("Argument(%q) = %q, want %q", tt.arg, got, tt.want)
		}
		if got := new(secret.Variables).Argument(tt.arg); got != tt.variables {
			t.Errorf("with variables, %q is %q, want %q", tt.arg, got, tt.variables)
		}
		if got := secret.Padded(tt.arg); len(got) != len(tt.arg) {
			t.Errorf("Padded(%q) = %q", tt.arg, got)
		}
	}
	if got := secret.Malformed("token hunter22"); got != "token…" {
		t.Errorf("malformed: %q", got)
	}
}

func TestJSON(t *testing.T) {
	const text = `{"login":{"password":"a\"b","tries":[1],"tokens":["x",{"id":"y"}]},"ok":true,"secret":null,"pin":7}`
	const want = `{"login":{"password":"***","tries":[1],"tokens":["***",{"id":"***"}]},"ok":true,"secret":null,"pin":"***"}`
	if diff := cmp.Diff(want, string(secret.JSON([]byte(text)))); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	variables := &secret.Variables{}
	got := variables.JSON(text, func(name string) string { return "<" + name + ">" })
	const code = `{"login":{"password":<PASSWORD>,"tries":[1],"tokens":[<TOKENS>,{"id":<TOKENS_2>}]},"ok":true,"secret":null,"pin":<PIN>}`
	if diff := cmp.Diff(code, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if diff := cmp.Diff([]string{"PASSWORD", "PIN", "TOKENS", "TOKENS_2"}, variables.Names()); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestPadded checks that offsets into a file of the user stay valid.
func TestPadded(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"to: amqp://app:s3cret@h/q\n", "to: amqp://app:******@h/q\n"},
		{"a\n- to: 'nats://é@h'\nb: x@y", "a\n- to: 'nats://**@h'\nb: x@y"},
		{"header:\n  Authorization: Bearer abc\n  x-tenant: shop\n", "header:\n  Authorization: Bearer ***\n  x-tenant: shop\n"},
		{"data: {password: é, n: 1}\n", "data: {password: *********\n"},
		{"{\n \"token\": \"x y\",\n \"n\": 1,\n}", "{\n \"token\": \"***\",\n \"n\": 1,\n}"},
		{"://", "://"},
	} {
		if got := secret.Padded(tt.text); got != tt.want {
			t.Errorf("Padded(%q) = %q, want %q", tt.text, got, tt.want)
		}
	}
}

// TestSet checks that credentials are found wherever they are repeated.
func TestSet(t *testing.T) {
	s := &secret.Set{}
	s.Learn("send", "password=hunter22", "-HAuthorization: Bearer abc.def", "http://me:p%40ssword@h/?api_key=a%2Fb%2Fc%2Fd", "--password", "typed-value",
		`{"token":"q\"uote1"}`, "pin:=1234", "password=short", "name=visible")
	s.LearnJSON([]byte(`{"user":{"secret":"in-data"}}`))
	s.LearnText("a: 1\npassword: in yaml text\n")
	s.LearnEnvironment([]string{"DB_PASSWORD=postgres", "DB_TOKEN=env-token", "URL=amqp://u:in-a-url@h", "PLAIN=harmless-value"})
	for text, want := range map[string]string{
		"bad hunter22!": "bad ***!", "abc.def abc.de": "*** abc.de", "p@ssword p%40ssword": "*** ***", "a/b/c/d": "***", "typed-value": "***",
		`q"uote1`: "***", "1234 short visible": "1234 short visible", "in-data": "***", "in yaml text": "***", "postgres": "postgres",
		"env-token": "***", "in-a-url": "***", "harmless-value": "harmless-value",
	} {
		if got := s.Values(text); got != want {
			t.Errorf("Values(%q) = %q, want %q", text, got, want)
		}
	}
	var none *secret.Set
	none.Learn("password=hunter22")
	if got := none.Mask("hunter22 token=x"); got != "hunter22 token=***" {
		t.Errorf("an empty set: %q", got)
	}
}

func TestReferences(t *testing.T) {
	t.Setenv("API_TOKEN", `a"b{{c}}`)
	t.Setenv("PIN", "1234")
	s := &secret.Set{}
	for _, tt := range []struct{ text, want string }{
		{"Bearer $API_TOKEN", `Bearer a"b{{c}}`}, {"${PIN}5", "12345"}, {`\$PIN`, "$PIN"}, {"$5 $version ${", "$5 $version ${"}, {"none", "none"}, {"$", "$"},
	} {
		if got, err := s.Expand(tt.text, nil); err != nil || got != tt.want {
			t.Errorf("Expand(%q) = %q, %v, want %q", tt.text, got, err, tt.want)
		}
	}
	if got, err := s.Expand("x=$PIN", func(v string) string { return "<" + v + ">" }); err != nil || got != "x=<1234>" {
		t.Errorf("encoded: %q, %v", got, err)
	}
	if _, err := s.Expand("$NOT_SET", nil); err == nil || err.Error() != "the environment variable NOT_SET is not set" {
		t.Errorf("not set: %v", err)
	}
	for _, tt := range []struct{ text, want string }{
		{"$PIN", "1234"}, {"costs $PIN", "costs $PIN"}, {`\$PIN`, "$PIN"}, {`\x`, `\x`},
	} {
		if got, err := s.Value(tt.text); err != nil || got != tt.want {
			t.Errorf("Value(%q) = %q, %v, want %q", tt.text, got, err, tt.want)
		}
	}
	if diff := cmp.Diff([]string{"A", "B_2"}, secret.References(`x '$B_2' ${A} $A \$C $5 $d`)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	got, err := s.ExpandJSON(`{"token":"$API_TOKEN","pin":$PIN,"text":"costs $PIN","kept":"\\$PIN","n":[1]}`)
	if want := `{"token":"a\"b{{c}}","pin":1234,"text":"costs $PIN","kept":"$PIN","n":[1]}`; err != nil || got != want {
		t.Errorf("ExpandJSON: %s, %v", got, err)
	}
	if got := s.Values(`say a"b{{c}}`); got != "say ***" {
		t.Errorf("a value that was looked up is not masked: %q", got)
	}
	v := &secret.Variables{Known: s}
	if got := v.JSON(`{"note":"a\"b{{c}}"}`, func(name string) string { return "$" + name }); got != `{"note":$API_TOKEN}` {
		t.Errorf("the variable's name is lost: %s", got)
	}
}

// FuzzFind checks that every text can be searched, that masks keep JSON valid, and
// offsets in place.
func FuzzFind(f *testing.F) {
	for _, text := range []string{
		`{"password":"x","a":[1,{"token":2}]}`, "http://me:pw@h?token=x", "Authorization: Bearer x", "password=x", "a://b@://c:@", "password:=", `"`, "token: \"x",
		"--x=", "-H", `{"secret":{}}`, "$A", "password='$", "Basic bWU6cHc=", "://", "nats://@", "é.token=é",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got := secret.Padded(text); len(got) != len(text) {
			t.Errorf("Padded(%q) = %q", text, got)
		}
		_ = secret.Text(text) + secret.Argument(text) + secret.URL(text) + secret.Malformed(text)
		s := &secret.Set{}
		s.Learn(text)
		_ = s.Mask(text)
		_, _ = s.ExpandJSON(text)
		_, _ = s.Expand(text, nil)
		if got := secret.JSON([]byte(text)); json.Valid([]byte(text)) && !json.Valid(got) {
			t.Errorf("JSON(%q) = %q", text, got)
		}
		if strings.Contains(new(secret.Variables).Argument(text), "\x00") && !strings.Contains(text, "\x00") {
			t.Errorf("variables of %q", text)
		}
	})
}

// TestLearnGenerated checks which values of a developer's file are credentials, whatever
// their names are.
func TestLearnGenerated(t *testing.T) {
	var s secret.Set
	hidden := []string{"sk_live_51H8abcDEFghi", "QWxhZGRpbjpvcGVuIHNlc2FtZQ9=", "hunter2!"}
	shown := []string{"eu-central-1", "http://localhost:3002", "/srv/data/items/v12345", "verbose", "a text with 16 or more", "4711471147114711"}
	environ := []string{"A=" + hidden[0], "B=" + hidden[1], "DB_PASSWORD=" + hidden[2]}
	for _, value := range shown {
		environ = append(environ, "X="+value)
	}
	s.LearnGenerated(environ)
	for _, value := range hidden {
		if got := s.Values("is " + value); got != "is "+secret.Mask {
			t.Errorf("%q is shown as %q", value, got)
		}
	}
	for _, value := range shown {
		if got := s.Values("is " + value); got != "is "+value {
			t.Errorf("%q is shown as %q", value, got)
		}
	}
}
