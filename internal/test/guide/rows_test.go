package guide_test

import "strings"

// row is one request of a client, and what the systems make of it.
type row struct {
	name   string
	target string // "POST /items"; {item} and {order} are IDs from earlier rows
	body   string
	caller string // user, admin, or stranger
	status int    // of NestJS's response, and of ours unless it differs
	keep   string // the placeholder that stands for the ID in the response from now on

	gateway, service, both *difference
}

// difference states how the response differs if the gateway, the service, or both are ours.
type difference struct {
	reason string // the first cell of a row in docs/nestjs.md
	status int
	want   string // part of the body
}

// withGateway returns the row with the difference that our gateway makes.
func (r row) withGateway(reason string, status int, want string) row {
	r.gateway = &difference{reason, status, want}
	return r
}

// withService returns the row with the difference that our service makes.
func (r row) withService(reason string, status int, want string) row {
	r.service = &difference{reason, status, want}
	return r
}

// withBoth returns the row with the difference that our gateway and our service make together.
func (r row) withBoth(reason string, status int, want string) row {
	r.both = &difference{reason, status, want}
	return r
}

// failingName makes a handler fail unexpectedly, and hangingID makes it never reply.
const (
	failingName = "fails"
	hangingID   = "hangs"
	unknownID   = "019376a2-9c00-7000-8000-5f0c2a9d1e47"
)

// Reasons of several rows.
const (
	cents   = "a price with more than two decimals"
	nulls   = "`null` for an optional member"
	notJSON = "a body that is not JSON"
)

const cup = `{"name":"Cup","price":9.99,"tags":["kitchen","blue"]}`

// itemRows are the requests about items, in the order in which they are sent. At first, there are no items.
func itemRows() []row {
	create := func(name, body string) row {
		return row{name: name, target: "POST /items", body: body, caller: "user", status: 201}
	}
	invalid := func(name, body string) row {
		return row{name: name, target: "POST /items", body: body, caller: "user", status: 400}
	}
	change := func(name, body string, status int) row {
		return row{name: name, target: "PATCH /items/{item}", body: body, caller: "user", status: status}
	}
	get := func(name, target string, status int) row {
		return row{name: name, target: "GET " + target, caller: "user", status: status}
	}
	remove := func(name, target, caller string, status int) row {
		return row{name: name, target: "DELETE /items/" + target, caller: caller, status: status}
	}
	first := create("create", cup)
	first.keep = "{item}"
	last := remove("delete", "{item}", "admin", 200)
	return []row{
		get("list no items", "/items", 200),
		first,
		create("create without tags", `{"name":"Bowl","price":12}`),
		create("create with a price of 0 and an empty list", `{"name":"Gift","price":0,"tags":[]}`),
		create("create with members in another order", `{"price":1.5,"tags":["a"],"name":"Plate"}`),
		create("create with 120 characters", `{"name":"`+strings.Repeat("é", 120)+`","price":1}`),
		create("create with text that JSON libraries escape", `{"name":"<b> & \" \u00e9 \ud83d\ude00 \u2028 \u007f / \\ \t","price":1}`),
		create("create with a large price", `{"name":"Yacht","price":12345678.9}`),
		get("list", "/items", 200),
		get("find", "/items/{item}", 200),
		get("list a page", "/items?limit=1", 200).withBoth("pages", 200, `[{"id":"…","name":"Cup","price":9.99,"tags":["kitchen","blue"],"createdAt":"…","updatedAt":"…"}]`),
		change("update with null", `{"name":null}`, 200).withService(nulls, 200, `"name":"Cup"`),
		change("update all members", `{"name":"Mug","price":8,"tags":["blue"]}`, 200),
		change("update one member", `{"price":7.25}`, 200),
		change("update to an empty list", `{"tags":[]}`, 200),
		change("update nothing", `{}`, 200),
		get("find after the updates", "/items/{item}", 200),

		get("find an item that does not exist", "/items/"+unknownID, 404),
		get("find with an ID of another system", "/items/65f1c0ffee65f1c0ffee65f1", 404),
		{name: "update an item that does not exist", target: "PATCH /items/" + unknownID, body: `{"price":1}`, caller: "user", status: 404},
		remove("delete an item that does not exist", unknownID, "admin", 404),
		get("find with an ID of 65 characters", "/items/"+strings.Repeat("x", 65), 404),

		invalid("create without a name", `{"price":1}`),
		invalid("create without members", `{}`),
		invalid("create with wrong types", `{"name":7,"price":"9.99","tags":"blue"}`),
		invalid("create with null", `{"name":null,"price":null}`),
		invalid("create with a negative price", `{"name":"Cup","price":-1}`),
		invalid("create with unknown members", `{"name":"Cup","color":"red","price":1,"id":"7"}`),
		invalid("create with an empty name", `{"name":"","price":1}`),
		invalid("create with 121 characters", `{"name":"`+strings.Repeat("x", 121)+`","price":1}`),
		invalid("create with 21 tags", `{"name":"Cup","price":1,"tags":["a"`+strings.Repeat(`,"a"`, 20)+`]}`),
		invalid("create with an empty tag", `{"name":"Cup","price":1,"tags":["a",""]}`),
		invalid("create with tags of another type", `{"name":"Cup","price":1,"tags":[1,null]}`),
		invalid("create without a body", ""),
		invalid("create with half of a body", `{"name":`).withGateway(notJSON, 400, "unexpected end of the JSON"),
		create("create with a price of three decimals", `{"name":"Nail","price":0.125}`).
			withGateway(cents, 400, "price must be a number conforming to the specified constraints").
			withService(cents, 400, "price must be a number conforming to the specified constraints"),
		create("create with null for the tags", `{"name":"Pan","price":1,"tags":null}`).withService(nulls, 201, `"price":1,"createdAt"`),
		change("update to a negative price", `{"price":-1}`, 400),
		change("update an unknown member", `{"nane":"Mug"}`, 400),
		change("update the ID", `{"id":"7"}`, 400),
		change("update in the form of the message", `{"updateItemDto":{"price":5}}`, 400),

		{name: "list without a token", target: "GET /items", caller: "stranger", status: 401},
		remove("delete as a user", "{item}", "user", 403),
		last,
		remove("delete again", "{item}", "admin", 404),
		get("an unknown path", "/nowhere", 404),
		row{name: "create while the handler fails", target: "POST /items", body: `{"name":"` + failingName + `","price":1}`, caller: "user", status: 500}.
			withService("an unexpected error in a handler", 500, "Internal microservice error"),
		{name: "health", target: "GET /health", caller: "stranger", status: 200},
	}
}

// orderRows are about the orders of our service, which calls the service with the items.
func orderRows() []row {
	order := func(name, body string, status int) row {
		return row{name: name, target: "POST /orders", body: body, caller: "user", status: status}
	}
	get := func(name, target string, status int) row {
		return row{name: name, target: "GET " + target, caller: "user", status: status}
	}
	stocked := row{name: "create an item to order", target: "POST /items", body: cup, caller: "user", status: 201, keep: "{item}"}
	ordered := order("order", `{"itemId":"{item}","quantity":3}`, 201)
	ordered.keep = "{order}"
	return []row{
		stocked,
		ordered,
		get("find an order", "/orders/{order}", 200),
		get("find an order that does not exist", "/orders/"+unknownID, 404),
		order("order an item that does not exist", `{"itemId":"`+unknownID+`","quantity":1}`, 422),
		order("order nothing", `{"itemId":"{item}","quantity":0}`, 400),
		order("order without members", `{}`, 400),
	}
}

// lateRows are sent to a handler that never replies.
func lateRows() []row {
	return []row{
		{name: "find while the service hangs", target: "GET /items/" + hangingID, caller: "user", status: 503},
	}
}

// downRows are sent after the services have been stopped.
func downRows(transport string) []row {
	down := row{name: "list while the service is down", target: "GET /items", caller: "user", status: 503}
	if transport == "rabbitmq" { // the request waits in the queue
		down.name = "list while the service is down, over RabbitMQ"
	}
	return []row{down}
}

// allRows are the rows of all transports.
func allRows() (all []row) {
	for _, rows := range [][]row{itemRows(), orderRows(), lateRows(), downRows("tcp"), downRows("rabbitmq")} {
		all = append(all, rows...)
	}
	return all
}
