package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSummary(t *testing.T) {
	tests := []struct {
		name string
		in   []string
		want []string
		ok   bool
	}{
		{
			name: "passes and skips",
			in: []string{
				`{"Action":"run","Package":"p","Test":"TestA"}`,
				`{"Action":"output","Package":"p","Test":"TestA","Output":"quiet\n"}`,
				`{"Action":"pass","Package":"p","Test":"TestA"}`,
				`{"Action":"output","Package":"p","Test":"TestB","Output":"=== RUN   TestB\n"}`,
				`{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:7: node is not installed\n"}`,
				`{"Action":"output","Package":"p","Test":"TestB","Output":"--- SKIP: TestB (0.00s)\n"}`,
				`{"Action":"skip","Package":"p","Test":"TestB"}`,
				`{"Action":"pass","Package":"p","Elapsed":1.25}`,
				`{"Action":"skip","Package":"q"}`,
			},
			want: []string{"skip  p TestB: node is not installed", "ok    p 1.2s", "-     q (no tests)", "1 passed, 0 failed, 1 skipped"},
			ok:   true,
		},
		{
			name: "only a failed test shows its output",
			in: []string{
				`{"Action":"output","Package":"p","Test":"TestA","Output":"quiet\n"}`,
				`{"Action":"output","Package":"p","Test":"TestB","Output":"got 1\n"}`,
				`{"Action":"pass","Package":"p","Test":"TestA"}`,
				`{"Action":"fail","Package":"p","Test":"TestB"}`,
				`{"Action":"fail","Package":"p","Elapsed":0.5}`,
			},
			want: []string{"got 1", "FAIL  p 0.5s", "", "failed:", "  p TestB", "1 passed, 1 failed, 0 skipped"},
		},
		{
			name: "a package that does not build counts as one failure",
			in: []string{
				`{"ImportPath":"p [p.test]","Action":"build-output","Output":"p.go:1: no\n"}`,
				`{"ImportPath":"p [p.test]","Action":"build-fail"}`,
				`{"Action":"output","Package":"p","Output":"FAIL p [build failed]\n"}`,
				`{"Action":"fail","Package":"p","FailedBuild":"p [p.test]"}`,
				`{"Action":"pass","Package":"q","Test":"TestA"}`,
			},
			want: []string{
				"FAIL  p 0.0s", "p.go:1: no", "FAIL p [build failed]", "",
				"failed:", "  p (the package itself)", "1 passed, 1 failed, 0 skipped",
			},
		},
		{
			name: "a panic shows the test that did not end",
			in: []string{
				`{"Action":"output","Package":"p","Test":"TestA","Output":"panic: no\n"}`,
				`{"Action":"fail","Package":"p"}`,
			},
			want: []string{"FAIL  p 0.0s", "panic: no", "", "failed:", "  p (the package itself)", "0 passed, 1 failed, 0 skipped"},
		},
		{
			name: "a run without tests is not a success",
			in:   []string{"go: no such module"},
			want: []string{"go: no such module", "0 passed, 0 failed, 0 skipped"},
		},
		{
			name: "a second run adds to the counts",
			in: []string{
				`{"Action":"fail","Package":"p","Test":"TestA"}`, `{"Action":"fail","Package":"p"}`,
				`{"Action":"fail","Package":"p"}`,
			},
			want: []string{"FAIL  p 0.0s", "FAIL  p 0.0s", "", "failed:", "  p TestA", "  p (the package itself)", "0 passed, 2 failed, 0 skipped"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			sum := newSummary(&out)
			if err := sum.read(strings.NewReader(strings.Join(tt.in, "\n") + "\n")); err != nil {
				t.Fatal(err)
			}
			if ok := sum.finish(); ok != tt.ok {
				t.Errorf("finish() = %v, want %v", ok, tt.ok)
			}
			if diff := cmp.Diff(strings.Join(tt.want, "\n")+"\n", out.String()); diff != "" {
				t.Errorf("output (-want +got):\n%s", diff)
			}
		})
	}
}
