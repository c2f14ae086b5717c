package typescript

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/test/testenv"
)

// TestParseWithoutProblems parses constructs whose end is easy to miss.
func TestParseWithoutProblems(t *testing.T) {
	for _, source := range []string{
		"const a = b < c > (d), e = f<g>(h), i = j < k && l > m, n = o<p>\n;",
		"const a = b ? (c) : d => e, f = b ? (c): d => e : g, h = b ? c => (d) : e, i = (a) ? (b, c) : d;",
		"const a = x / y / z, b = /[/]/g.test('/'), c = a++ / 2, d = [/a/, /b/u], e = () => /x/, f = { g: /`/ };",
		"if (a) /re/.exec(b); else /`/.exec(c)\nlet d = a\n++b\n/x/g",
		"const a = `x${`y${{ b: '}' }.b}`}z${1}`, b = f`x${1}`, c = `\\``;",
		"type A = B extends (infer C extends string)[] ? C : D extends { e: infer F } ? F : never; type G = new () => H; type I = abstract new (j: K) => L;",
		"type A = { readonly [B in keyof C as `x${B}`]-?: D[B] }; type E = [a: F, b?: G, ...c: H[]]; type I = unique symbol; type J = typeof import('k');",
		"type A = (b: C) => asserts b is D; type E = (this: F) => this is G; type H = | I | J; type K = readonly L[][]; type M = N['o'][number];",
		"type A = typeof b.c<D>; type E = -1 | 2n | `f`; type G = <const T>(t: T) => T; type H = ((a: I) => J)[]; type K = (L | M)[];",
		"let a = <T,>(b: T) => b, c = async <T>(d: T) => d, e = async f => f, g = async (h) => h, i = async(j), k = async;",
		"let a = b as const, c = d as E<F> | G, h = i satisfies J, k = <L>m, n = o!, p = q!.r, s = t! + u, v = w as any as x;",
		"class A<in T, out U> extends B<C>(D) implements E, F<G> { static { this.a = 1 } static async *b() {} get c() { return 1 } set c(d) {} #e = 1; static #f; accessor g = 1 }",
		"class A { static = 1; get = 2; set; async; readonly readonly = 1; declare; abstract() {} static static() {} get get() {} 'a'() {} 1() {} [b]() {} [c: string]: D; async\nd() {} }",
		"class A { @b @c.d(e) @(f) @g<H>() i() {} @j ['k'] = 1; constructor(@l() private readonly m: N, protected o?: P, q = 1) {} r?(): void; s!: T; declare u: V; }",
		"abstract class A { abstract b(): C; abstract get d(): E; protected abstract f: G; private static readonly h?: I }",
		"@a export class B {} export @c class D {} @e() export default class {} export abstract class F {}",
		"export default async function () {} export * as a from 'b'; export { c as default, d as 'e' }; export type { F } from 'g'; export = h; export as namespace I;",
		"import a, { b as c, type D, default as e, type as f, type as as g } from 'h'; import type I from 'j'; import type, { K } from 'l'; import type from 'm'; import * as n from 'o' with { type: 'json' }; import p = require('q'); import r = s.t; import 'u'; import type { V } from 'w'; export import x = y.z;",
		"enum A { B, C = 1, 'd' = 'e', F = B | C } const enum G { H } declare enum I { J } declare const k: L; declare function m(): N; declare module 'o' { export const p: Q } declare global { interface R {} } namespace S.T { export type U = V }",
		"for (const a of b) c; for (let d in e) f; for (;;) break; for (var g = 0, h = (1 in i); g < h; g++) {} for await (const j of k) {} for (const of of l) {} for (m of n) {}",
		"switch (a) { case b: case c: { d } default: e } try { a } catch { b } finally { c } try {} catch ({ d }) {} do a; while (b) label: while (c) continue label; do {} while (d) e",
		"let type = 1, of = 2, as = 3, from = 4, async = 5, declare = 6, namespace = 7, get = 8, module = 9, is = 10; type = 2; declare\nnamespace\nabstract\ninterface\n;",
		"const { a, b: { c = 1 }, ...d } = e, [f, , g = 2, ...h] = i; ({ a, b: c.d } = e); [f, g] = [g, f]; ({ a = 1 } = b);",
		"a?.b?.[c]?.(d)!.e; a ? .5 : 1; new A; new A.B(); new (f())(); new A<B>(c); new.target; import.meta.url; import('x'); super.y(); a ?? b; a ||= b; a **= 2; a >>>= b; a >= b; a >> b > c;",
		"var a = 1_000n, b = 0xFFn, c = 1.e3, d = .5e-3, e = 0b1_0, f = 1..toString(), g = 1.5.toFixed();",
		"yield\nlet x = await y, z = (await a).b; function* f() { yield; yield* g; const h = yield i; yield\nj }",
		"function a(this: B, c?: D, ...e: F[]): c is G; function a() {} function b<T extends U = V>(): asserts x {} if (a) function c() {}",
		"interface A<T> extends B<T>, C { (d: E): F; new (g: H): I; readonly j?: K; l<M>(n: M): O; [p: string]: Q; get r(): S; set r(t: U); w?(): X }",
		"#!/usr/bin/env node\n\ufeffconst caf\u00e9 = '\u00e9', \\u0061b = 1; /* a */ // b",
	} {
		f := Parse("a.ts", []byte(source))
		for _, p := range f.Problems {
			t.Errorf("%s\nline %d: %s at %q", source, p.Line, p.Reason, source[p.Pos:min(p.Pos+20, len(source))])
		}
	}
}

func TestParseJSX(t *testing.T) {
	const source = "const a = <div b='c' d={e} {...f}>text ` ' {g} <h.i/> {/* j */}<></> <k-l m:n=\"o\">{p => <q/>}</k-l></div>;\nclass R { @s('t') u() { return <v>`</v>; } }\nconst w = <T,>(x: T) => x;"
	for _, p := range Parse("a.tsx", []byte(source)).Problems {
		t.Errorf("line %d: %s", p.Line, p.Reason)
	}
}

// TestProblems checks that parsing continues after an error, and where the problem is.
func TestProblems(t *testing.T) {
	const source = "const a = 1;\nclass B {\n  c( {\n}\nexport const d = 2;\nlet e = ;\nconst f = 'unterminated\nconst g = 3;\n}\nconst h = `x"
	f := Parse("a.ts", []byte(source))
	var got []string
	for _, p := range f.Problems {
		first, _, _ := strings.Cut(source[p.Pos:p.End], "\n")
		got = append(got, first+": "+p.Reason)
	}
	want := []string{
		`class B {: unexpected "export"`, `let e = ;: unexpected ";"`, "const f = 'unterminated: unexpected \"unterminated string\"", `const g = 3;: unexpected "}"`, "const h = `x: unterminated template",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	if len(f.Body) != 3 {
		t.Errorf("%d statements, want those of a, d, and g", len(f.Body))
	}
}

func TestStrings(t *testing.T) {
	for source, want := range map[string]string{
		`'a\n\t\x41\u0042\u{1F4E6}\
b\0\'"'`: "a\n\tAB\U0001F4E6b\x00'\"",
		`"\ud83d\udce6\q"`: "\U0001F4E6q",
		"`a\\`b`":          "a`b",
	} {
		f := Parse("a.ts", []byte("x("+source+")"))
		call := f.Body[0].(*ExprStmt).X.(*Call)
		var got any
		switch arg := call.Args[0].(type) {
		case *Literal:
			got = arg.Value
		case *Template:
			got = arg.Cooked[0]
		}
		if got != want {
			t.Errorf("%s is %q, want %q", source, got, want)
		}
	}
}

func TestFormatNumber(t *testing.T) {
	for source, want := range map[string]string{
		"0x10": "16", "1_000": "1000", ".5": "0.5", "5.": "5", "1e21": "1e+21", "1e20": "100000000000000000000", "1e-7": "1e-7", "0.000001": "0.000001",
		"123456789012345680000": "123456789012345680000", "0.1": "0.1", "2.50": "2.5", "0b11": "3", "1e400": "Infinity",
	} {
		f := Parse("a.ts", []byte("x("+source+")"))
		value := f.Body[0].(*ExprStmt).X.(*Call).Args[0].(*Literal).Value.(float64)
		if got := FormatNumber(value); got != want {
			t.Errorf("%s is %s, want %s", source, got, want)
		}
	}
}

// FuzzParse checks that any text is parsed without a panic, and that the spans of its nodes
// are in the text.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob(filepath.Join(testenv.Root(), "testdata", "nestsource", "*", "*.ts"))
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	for _, seed := range []string{"@a(", "class A{static{", "`${`${", "a<b<c<", "((((((((", "(a=(b=(c=", "<a><b>{", "type A=[", "/[", "'\\", "x?(y):z=>", "<0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, name := range []string{"a.ts", "a.tsx"} {
			file := Parse(name, []byte(text))
			var visit func(Node)
			visit = func(n Node) {
				s := n.Range()
				if s.Pos < 0 || s.End < s.Pos || s.End > len(file.Source) {
					t.Fatalf("%T has the span %v", n, s)
				}
				Each(n, visit)
			}
			for _, stmt := range file.Body {
				visit(stmt)
			}
			for _, p := range file.Problems {
				if p.Pos < 0 || p.End < p.Pos || p.End > len(file.Source) {
					t.Fatalf("a problem has the span %v", p.Span)
				}
			}
		}
	})
}
