package workspace

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestShifted checks that ports and what refers to them change, and nothing else.
func TestShifted(t *testing.T) {
	w, err := Parse(FileName, []byte(`name: shop
env: {ITEMS: "tcp://localhost:3002", OTHER: "tcp://localhost:30020", LIST: "127.0.0.1:3002,[::1]:3001,db:3002", ITEMS_PORT: 3002, DB_PORT: 5432, LIMIT: 3002}
services:
  items: {path: ./items, port: 3002, env: {MS_PORT: 3002, one_port: 3001}}
  mail: {path: ./mail, transport: nats}
  gateway: {kind: gateway, path: ./gateway, port: 3001, depends_on: [items]}
`))
	if err != nil {
		t.Fatal(err)
	}
	before, err := w.Shifted(0)
	if err != nil {
		t.Fatal(err)
	}
	got, err := w.Shifted(100)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"ITEMS": "tcp://localhost:3102", "OTHER": "tcp://localhost:30020", "LIST": "127.0.0.1:3102,[::1]:3101,db:3002", "ITEMS_PORT": "3102", "DB_PORT": "5432",
		"LIMIT": "3002",
	}
	if diff := cmp.Diff(want, got.Env); diff != "" {
		t.Errorf("env (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"MS_PORT": "3102", "one_port": "3101"}, got.Service("items").Env); diff != "" {
		t.Errorf("env of items (-want +got):\n%s", diff)
	}
	if got.Service("items").Port != 3102 || got.Service("gateway").Port != 3101 || got.Service("mail").Port != 0 {
		t.Errorf("ports %d, %d, %d", got.Service("items").Port, got.Service("gateway").Port, got.Service("mail").Port)
	}
	if diff := cmp.Diff(before, w); diff != "" {
		t.Errorf("the workspace itself has changed:\n%s", diff)
	}
	for _, offset := range []int{-3001, 65535} {
		if _, err := w.Shifted(offset); err == nil || !strings.Contains(err.Error(), "must be between 1 and 65535") {
			t.Errorf("offset %d: error %v", offset, err)
		}
	}
}
