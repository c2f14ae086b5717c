package guide_test

import (
	"net/http"
	"sync"
	"testing"
)

// TestMix sends all rows to both gateways while the service with the items is NestJS's, and then ours at the same address.
func TestMix(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs a workspace")
	}
	for _, transport := range []string{"tcp", "rabbitmq"} {
		t.Run(transport, func(t *testing.T) {
			l := startLab(t, transport)
			var nest answers
			for _, service := range []maker{nestJS, ours} {
				end := l.startService(service)
				systems := l.systems(service)
				nest.compare(t, systems, "items", itemRows())
				nest.compare(t, systems, "orders", orderRows())
				sideBySide(t, systems)
				nest.compareAtOnce(t, systems, "late", lateRows())
				end()
				nest.compareAtOnce(t, systems, "down", downRows(transport))
			}
		})
	}
}

// sideBySide uses both gateways for one item. Each passes on exactly what the service replies, with its IDs and times.
func sideBySide(t *testing.T, systems []system) {
	t.Helper()
	ids := map[string]string{}
	both := func(r row) (bodies [2]string) {
		for i, s := range systems {
			to := s.script()
			to.ids = ids
			got, err := to.send(t.Context(), r)
			if err != nil || got.status != r.status {
				t.Fatalf("%s: %s: %d %s, %v", s, r.target, got.status, got.body, err)
			}
			bodies[i] = got.body
			if r.keep != "" {
				ids[r.keep] = allIDs.FindStringSubmatch(got.body)[1]
			}
		}
		return bodies
	}
	both(row{target: "POST /items", body: cup, caller: "user", status: 201, keep: "{item}"}) // the second one's is kept
	for _, target := range []string{"GET /items/{item}", "GET /items"} {
		if got := both(row{target: target, caller: "user", status: 200}); got[0] != got[1] {
			t.Errorf("%s: %s: NestJS's gateway: %s\nours: %s", systems[0].service, target, got[0], got[1])
		}
	}
	both(row{target: "PATCH /items/{item}", body: `{"price":5}`, caller: "user", status: 200})
	deleteAll(t, systems[1])
}

// deleteAll deletes all items.
func deleteAll(t *testing.T, s system) {
	t.Helper()
	all, err := s.script().send(t.Context(), row{target: "GET /items", caller: "user"})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range allIDs.FindAllStringSubmatch(all.body, -1) {
		if got, err := s.script().send(t.Context(), row{target: "DELETE /items/" + id[1], caller: "admin"}); err != nil || got.status != http.StatusOK {
			t.Errorf("%s: delete %s: %d %s, %v", s, id[1], got.status, got.body, err)
		}
	}
}

// answers are the responses of NestJS alone, by the name of the rows.
type answers map[string][]response

// compare sends rows to both gateways, one after the other, and compares the responses with those of NestJS alone.
func (a *answers) compare(t *testing.T, systems []system, name string, rows []row) {
	t.Helper()
	for _, s := range systems {
		a.judge(t, s, name, rows, s.script().run(t, rows))
		deleteAll(t, s)
	}
}

// compareAtOnce is compare for rows that take a while.
func (a *answers) compareAtOnce(t *testing.T, systems []system, name string, rows []row) {
	t.Helper()
	got := make([][]response, len(systems))
	var all sync.WaitGroup
	for i, s := range systems {
		all.Go(func() { got[i] = s.script().run(t, rows) })
	}
	all.Wait()
	for i, s := range systems {
		a.judge(t, s, name, rows, got[i])
	}
}

func (a *answers) judge(t *testing.T, s system, name string, rows []row, got []response) {
	t.Helper()
	if *a == nil {
		*a = answers{}
	}
	if (*a)[name] == nil {
		(*a)[name] = got
	}
	if len(got) != len(rows) {
		t.Fatalf("%s: %d responses to %d requests", s, len(got), len(rows))
	}
	for i, r := range rows {
		nest := (*a)[name][i]
		if nest.status != r.status {
			t.Errorf("%s: NestJS: %d %s, want %d", r.name, nest.status, nest.body, r.status)
		}
		if err := r.check(s, nest, got[i]); err != nil {
			t.Errorf("%s: %v", r.name, err)
		}
	}
}
