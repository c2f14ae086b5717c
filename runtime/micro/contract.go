package micro

import (
	"context"
	"iter"
)

// Method is a request with typed input and output: a pattern that services handle
// and clients call. Declare it once, in a package that both sides import. A handler,
// a call, or a gateway route with other types does not compile:
//
//	var FindItem = micro.NewMethod[ItemID, Item](micro.Cmd("findItem"))
//
//	FindItem.Handle(server, items.find)         // func(context.Context, ItemID) (Item, error)
//	item, err := FindItem.Call(ctx, client, id) // Item
//
// In and Out are encoded by the codec of the server or client. As In, [None] ignores
// the data; as Out, it is a reply without a value. json.RawMessage is passed through.
//
// A Method is a value and safe for concurrent use. The zero Method has no pattern and
// panics when it is used. Patterns that are not known at compile time use the functions
// [Handle], [HandleStream], [Call], and [Stream].
type Method[In, Out any] struct{ pattern Pattern }

// NewMethod returns the method with a pattern. It panics if p is the zero Pattern.
func NewMethod[In, Out any](p Pattern) Method[In, Out] {
	return Method[In, Out]{mustPattern(p)}
}

// Pattern returns the method's pattern.
func (m Method[In, Out]) Pattern() Pattern { return m.pattern }

// Handle registers fn as the handler of the method, as [Handle] does.
func (m Method[In, Out]) Handle(s *Server, fn func(context.Context, In) (Out, error), opts ...HandlerOption) {
	Handle(s, m.pattern, fn, opts...)
}

// HandleStream registers fn, which replies with any number of values, as the handler
// of the method, as [HandleStream] does.
func (m Method[In, Out]) HandleStream(s *Server, fn func(context.Context, In) iter.Seq2[Out, error], opts ...HandlerOption) {
	HandleStream(s, m.pattern, fn, opts...)
}

// Call sends a request and returns the value of the reply, as [Call] does.
func (m Method[In, Out]) Call(ctx context.Context, c *Client, in In) (Out, error) {
	return Call[Out](ctx, c, mustPattern(m.pattern), in)
}

// Stream sends a request and yields each value of the reply, as [Stream] does.
func (m Method[In, Out]) Stream(ctx context.Context, c *Client, in In) iter.Seq2[Out, error] {
	return Stream[Out](ctx, c, mustPattern(m.pattern), in)
}

// Topic is an event with typed data: a pattern that any number of services handle and
// clients emit.
//
//	var ItemViewed = micro.NewTopic[ItemID](micro.Name("item.viewed"))
//
//	ItemViewed.Handle(server, items.viewed)   // func(context.Context, ItemID) error
//	err := ItemViewed.Emit(ctx, client, id)
//
// A Topic is a value and safe for concurrent use. The zero Topic has no pattern and
// panics when it is used. Patterns that are not known at compile time use [HandleEvent]
// and [Client.Emit].
type Topic[In any] struct{ pattern Pattern }

// NewTopic returns the topic with a pattern. It panics if p is the zero Pattern.
func NewTopic[In any](p Pattern) Topic[In] { return Topic[In]{mustPattern(p)} }

// Pattern returns the topic's pattern.
func (t Topic[In]) Pattern() Pattern { return t.pattern }

// Handle registers fn as a handler of the topic, as [HandleEvent] does.
func (t Topic[In]) Handle(s *Server, fn func(context.Context, In) error, opts ...HandlerOption) {
	HandleEvent(s, t.pattern, fn, opts...)
}

// Emit sends an event, as [Client.Emit] does.
func (t Topic[In]) Emit(ctx context.Context, c *Client, in In) error {
	return c.Emit(ctx, mustPattern(t.pattern), in)
}

func mustPattern(p Pattern) Pattern {
	if p.IsZero() {
		panic("micro: a Method or Topic requires a pattern: create it with NewMethod or NewTopic")
	}
	return p
}
