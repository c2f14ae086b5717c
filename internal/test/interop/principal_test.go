package interop_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/msctl/msctl/internal/test/testenv"
	"github.com/msctl/msctl/runtime/gateway"
	"github.com/msctl/msctl/runtime/gateway/auth"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtcp"
	"github.com/msctl/msctl/runtime/principal"
)

// nestMain is a NestJS service that guards a handler as docs/gateway.md shows.
const nestMain = `
import 'reflect-metadata';
import { Controller, Module, UseGuards } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Ctx, MessagePattern, Transport } from '@nestjs/microservices';
import { PrincipalGuard } from './guard';

@Controller()
@UseGuards(PrincipalGuard)
class Whoami {
  @MessagePattern({ cmd: 'whoami' })
  whoami(@Ctx() ctx: any) {
    const { sub, scope, roles, claims } = ctx.principal;
    return { sub, scope, roles, team: claims?.team };
  }
}

@Module({ controllers: [Whoami] })
class AppModule {}

NestFactory.createMicroservice(AppModule, { transport: Transport.TCP, options: { port: Number(process.env.PORT) }, logger: false })
  .then(app => app.listen());
process.stdin.on('end', () => process.exit(0)).resume();
`

// TestPrincipalInNestJS sends callers from a gateway to a real NestJS service with the guard of
// docs/gateway.md: the service knows those whom the gateway has signed, and no others.
func TestPrincipalInNestJS(t *testing.T) {
	t.Parallel()
	testenv.NeedNest(t, testenv.Nest12)
	secret := []byte(strings.Repeat("p", 32))
	addr := startGuarded(t, string(secret))
	whoami := micro.NewMethod[micro.None, map[string]any](micro.Cmd("whoami"))
	tokens := auth.TokenConfig{Issuer: "test", Audience: "shop", Secrets: [][]byte{[]byte(strings.Repeat("s", 32))}}
	for _, c := range []struct {
		name   string
		secret []byte // with which the gateway signs; none if it is nil
		lasts  time.Duration
		status int
		answer string
	}{
		{"signed", secret, 0, http.StatusOK, `{"sub":"ada","scope":"items:read items:write","roles":["admin"],"team":7}`},
		{"signed with another secret", []byte(strings.Repeat("o", 32)), 0, http.StatusUnauthorized, "Unauthorized"},
		{"expired", secret, time.Nanosecond, http.StatusUnauthorized, "Unauthorized"},
		{"not signed", nil, 0, http.StatusUnauthorized, "Unauthorized"},
	} {
		client := micro.NewClient(microtcp.Dial(addr))
		t.Cleanup(func() { _ = client.Close() })
		method, err := auth.NewTokens(tokens)
		if err != nil {
			t.Fatal(err)
		}
		options := []gateway.Option{gateway.WithAuthentication(method)}
		if c.secret != nil {
			key, err := principal.NewKey(c.secret)
			if err != nil {
				t.Fatal(err)
			}
			options = append(options, gateway.WithPrincipals(key.WithLifetime(c.lasts)))
		}
		gw := gateway.New("shop", options...)
		gateway.Route(gw, "GET /whoami", client, whoami)
		token, err := tokens.Sign(&principal.Principal{
			Subject: "ada", Scopes: []string{"items:read", "items:write"}, Roles: []string{"admin"}, Claims: []byte(`{"team":7}`),
		})
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		testenv.Eventually(t, time.Minute, c.name, func() bool { // a principal expires with a second
			req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/whoami", http.NoBody)
			req.Header.Set("Authorization", "Bearer "+token)
			w = httptest.NewRecorder()
			gw.Handler().ServeHTTP(w, req)
			return w.Code == c.status
		})
		if !strings.Contains(w.Body.String(), c.answer) {
			t.Errorf("%s: %s, want %s", c.name, w.Body, c.answer)
		}
	}
}

// startGuarded runs nestMain with the guard in docs/gateway.md, and returns its address.
func startGuarded(t *testing.T, secret string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(testenv.Root(), "docs", "gateway.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, guard, found := strings.Cut(string(text), "```ts\nimport { createHmac")
	guard, _, closed := strings.Cut(guard, "```")
	if !found || !closed {
		t.Fatal("docs/gateway.md has no guard for NestJS")
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"guard.ts": "import { createHmac" + guard, "main.ts": nestMain} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	port, err := testenv.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	nest := filepath.Join(testenv.Root(), "testdata", "nest")
	cmd := exec.CommandContext(t.Context(), "node", filepath.Join(nest, "tools.mjs"), "tsx", filepath.Join(dir, "main.ts"))
	said := &testenv.Log{}
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, said, said
	cmd.Env = append(os.Environ(), "NEST_DIR="+filepath.Join(nest, string(testenv.Nest12)), "LAYOUT="+dir, "PORT="+strconv.Itoa(port), "PRINCIPAL_SECRET="+secret)
	stdin, err := cmd.StdinPipe() // at its end, the service exits
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Process.Kill()
		var exited *exec.ExitError
		if err := cmd.Wait(); err != nil && !errors.As(err, &exited) {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("output of NestJS:\n%s", said)
		}
	})
	addr := "localhost:" + strconv.Itoa(port)
	if err := testenv.AwaitPort(t.Context(), addr); err != nil {
		t.Fatalf("NestJS does not listen: %v\n%s", err, said)
	}
	return addr
}
