package parity_test

import "strings"

const (
	prototype = "`__proto__` or `constructor` in a body"
	booleans  = "a boolean in a query"

	unknownParameter = "an unknown parameter where the route has a query"
)

const cup = `{"name":"Cup","price":9.99}`

// validationRows are about the data of a request.
func validationRows() []row {
	item := func(name, body string) row { return row{name: name, target: "POST /items", body: body, status: 400} }
	profile := func(name, members string) row {
		return row{name: name, target: "POST /profiles", body: `{"email":"ada@shop.example"` + members + `}`, status: 400}
	}
	query := func(name, query string, status int) row {
		return row{name: name, target: "GET /search?" + query, status: status}
	}
	change := func(name, body string, status int) row {
		return row{name: name, target: "PATCH /items/7", body: body, status: status}
	}
	good := func(r row) row { r.status = 201; return r }
	return []row{
		good(item("a valid body", cup)),
		good(item("a list", `{"name":"Cup","price":9.99,"tags":["kitchen","blue"]}`)),
		good(item("an empty list", `{"name":"Cup","price":0,"tags":[]}`)),
		good(item("null for an optional member", `{"name":"Cup","price":0,"tags":null}`)),
		good(item("a number with an exponent", `{"name":"Cup","price":1e2}`)),
		good(item("duplicate members", `{"name":"Cup","price":1,"price":2}`)),
		good(item("escapes and emoji", `{"name":"C\u00fcp \ud83d\ude00 \"x\"","price":1}`)),
		good(item("120 characters", `{"name":"`+strings.Repeat("é", 120)+`","price":1}`)),
		item("all rules of all members", `{"name":"","price":-1}`),
		item("121 characters", `{"name":"`+strings.Repeat("é", 121)+`","price":1}`),
		item("no members", `{}`),
		item("null members", `{"name":null,"price":null}`),
		item("wrong types", `{"name":7,"price":"9.99"}`),
		item("an object for a string", `{"name":{"a":1},"price":1}`),
		item("a list for a number", `{"name":"Cup","price":[1]}`),
		item("an unknown member", `{"name":"Cup","price":1,"color":"red"}`),
		item("unknown members in the order sent", `{"zebra":1,"name":"Cup","color":"red","price":1,"apple":2}`),
		item("unknown members and violated rules", `{"zebra":1,"name":"","apple":2}`),
		item("text for a list", `{"name":"Cup","price":1,"tags":"blue"}`),
		item("a number for a list", `{"name":"Cup","price":1,"tags":7}`),
		item("elements of a wrong type", `{"name":"Cup","price":1,"tags":["a",7,null]}`),
		item("an empty element", `{"name":"Cup","price":1,"tags":["a",""]}`),
		item("21 elements", `{"name":"Cup","price":1,"tags":[`+strings.TrimSuffix(strings.Repeat(`"a",`, 21), ",")+`]}`),
		item("21 empty elements", `{"name":"Cup","price":1,"tags":[`+strings.TrimSuffix(strings.Repeat(`"",`, 21), ",")+`]}`),
		good(item("constructor as a member", `{"name":"Cup","price":1,"constructor":{"a":1}}`)).but(prototype, 400, "property constructor should not exist"),
		good(item("prototype members", `{"name":"Cup","price":1,"__proto__":{"admin":true}}`)).but(prototype, 400, "property __proto__ should not exist"),

		good(profile("an email address", "")),
		good(profile("every member", `,"device":"7f1c2f5e-64a6-4f0e-9a4f-3c1f5be3a111","website":"https://shop.example/a?b=c","born":"2001-02-03T04:05:06Z","plan":"free","age":7,"news":true,"nick":"ada","address":{"street":"Main","zip":"12345"},"others":[{"street":"Main","zip":"12345"}],"ratings":[1,2,3]`)),
		{name: "not an email address", target: "POST /profiles", body: `{"email":"ada"}`, status: 400},
		{name: "an email address with a name", target: "POST /profiles", body: `{"email":"Ada <ada@shop.example>"}`, status: 400},
		{name: "no email address", target: "POST /profiles", body: `{"email":7}`, status: 400},
		profile("not a UUID", `,"device":"7f1c2f5e"`),
		profile("a number for a UUID", `,"device":7`),
		profile("not a URL", `,"website":"shop"`),
		profile("a URL of a script", `,"website":"javascript:alert(1)"`),
		profile("not a date", `,"born":"yesterday"`),
		profile("a number for a date", `,"born":7`),
		profile("not one of the values", `,"plan":"gold"`),
		profile("a number for one of the values", `,"plan":7`),
		profile("a fraction for an integer", `,"age":7.5`),
		profile("text for an integer", `,"age":"7"`),
		profile("too large", `,"age":151`),
		profile("too small", `,"age":-1`),
		profile("too small a fraction", `,"age":-1.5`),
		profile("text for a boolean", `,"news":"true"`),
		profile("a number for a boolean", `,"news":1`),
		profile("too short", `,"nick":"a"`),
		profile("too long", `,"nick":"adaadaadaada"`),
		profile("a number for a text with bounds", `,"nick":7`),
		profile("a nested object", `,"address":{"street":"","zip":"1234"}`),
		profile("a nested object without members", `,"address":{}`),
		profile("an unknown member of a nested object", `,"address":{"street":"Main","zip":"12345","door":7}`),
		profile("nested objects in a list", `,"others":[{"street":"Main","zip":"12345"},{"street":7,"zip":"x","door":7}]`),
		profile("too many nested objects", `,"others":[{"street":"a","zip":"12345"},{"street":"b","zip":"12345"},{"street":"c","zip":"12345"}]`),
		profile("an empty list where it must not be", `,"ratings":[]`),
		profile("too many elements", `,"ratings":[1,2,3,4]`),
		profile("fractions for integers", `,"ratings":[1,2.5,"3"]`),

		change("a change of one member", `{"price":5}`, 200),
		change("a change of all members", cup, 200),
		change("no change", `{}`, 200),
		change("null in a change", `{"name":null}`, 200),
		change("an invalid change", `{"name":"","price":"5"}`, 400),
		change("an unknown member of a change", `{"nane":"Cup"}`, 400),
		change("the ID in a change", `{"id":"8","price":5}`, 400),
		change("the name of the message's member", `{"updateItemDto":{"price":5}}`, 400),

		query("no query", "", 200),
		query("a number", "limit=20", 200),
		query("a price", "price=9.5", 200),
		query("a word for a number", "limit=many", 400),
		query("too large a number", "limit=101", 400),
		query("a fraction for an integer in the query", "limit=1.5", 400),
		query("true", "sold=true", 200),
		query("false", "sold=false", 200).but(booleans, 200, `{"sold":false}`),
		query("yes", "sold=yes", 200).but(booleans, 400, "sold must be a boolean value"),
		query("one value of a list", "tag=a", 400).but("one value for a list in a query", 200, `{"tag":["a"]}`),
		query("an empty value for a number", "limit=&price=", 400).but("an empty number in a query", 400, "price must be a number"),
		query("an empty text", "sort=", 400),
		query("a parameter twice", "limit=1&limit=2", 400),
		query("a text twice", "sort=name&sort=price", 400),
		query("a list with brackets", "tag[]=a&tag[]=b", 400).but(unknownParameter, 200, `{}`),
		query("an object in a query", "limit[a]=1", 400).but(unknownParameter, 200, `{}`),
		query("one of the values", "sort=price", 200),
		query("not one of the values in the query", "sort=color", 400),
		query("several values of a list", "tag=a&tag=b", 200),
		query("escapes", "tag=a%20b&tag=c%26d+e", 200),
	}
}
