package micro_test

import (
	"errors"
	"fmt"

	"github.com/msctl/msctl/runtime/micro"
)

func ExampleCmd() {
	createItem := micro.Cmd("createItem")
	fmt.Println(createItem)
	fmt.Println(createItem == micro.Fields(map[string]any{"cmd": "createItem"}))
	// Output:
	// {"cmd":"createItem"}
	// true
}

func ExampleName() {
	itemViewed := micro.Name("item.v1.viewed")
	fmt.Println(itemViewed.JSON(), itemViewed.Route())
	// Output:
	// "item.v1.viewed" item.v1.viewed
}

func ExampleFields() {
	p := micro.Fields(map[string]any{"service": "items", "cmd": "create", "Cmd": 2, "v": 1.0})
	fmt.Println(p.JSON())
	// Output:
	// {"cmd":"create","Cmd":2,"service":"items","v":1}
}

func ExampleParsePattern() {
	p, err := micro.ParsePattern(`{"role": "math", "cmd": "sum", "tags": ["a"]}`)
	fmt.Println(p.JSON(), err)
	fmt.Println(p.Route())

	_, err = micro.ParsePattern(`{"cmd" "sum"}`)
	var e *micro.PatternError
	fmt.Println(errors.As(err, &e), e.Offset)
	// Output:
	// {"role":"math","cmd":"sum","tags":["a"]} <nil>
	// {"cmd":"sum","role":"math","tags":{"0":"a"}}
	// true 7
}
