// Package microtest runs a server in a test without a network:
//
//	func TestCreateItem(t *testing.T) {
//		client := microtest.Serve(t, newServer(newMemoryStore()))
//		item, err := items.CreateItem.Call(t.Context(), client, items.CreateItemInput{Name: "Cup"})
//		…
//	}
//
// Messages are processed as on a real transport: data is encoded, the packet is built
// and parsed, guards, interceptors, pipes, and filters run, deadlines and metadata are
// transmitted, and errors arrive as a remote peer would see them. Everything is in
// memory and in goroutines that end with the test, so it works in a testing/synctest
// bubble, where time advances only when all goroutines are blocked.
package microtest
