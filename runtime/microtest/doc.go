// Package microtest runs a server in a test without a network:
//
//	func TestCreateItem(t *testing.T) {
//		client := microtest.Serve(t, newServer(newMemoryStore()))
//		item, err := micro.Call[contracts.Item](t.Context(), client, contracts.CreateItem, contracts.NewItem{Name: "Cup"})
//		…
//	}
//
// Messages take the way they take on a real transport: data is encoded, the
// packet is built and parsed again, guards, interceptors, pipes and filters run,
// deadlines and metadata travel, errors arrive as their peers would see them.
// Everything stays in memory and in goroutines that end with the test, so it
// works inside a testing/synctest bubble, where time stands still until all wait.
package microtest
