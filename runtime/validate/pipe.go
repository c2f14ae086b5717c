package validate

import (
	"context"
	"encoding/json"
	"reflect"
	"sync"

	"github.com/msctl/msctl/runtime/micro"
)

// Pipe returns a pipe that checks the data of every typed handler against the
// handler's data type, as NestJS's ValidationPipe does. The error has status 400
// and lists all problems; see [BadRequest]. Unknown members are forbidden or allowed.
// Strip equals Allow here: the data has already been decoded into the type, which does
// not have those members.
func Pipe(unknown Unknown) micro.Pipe {
	if unknown == Strip {
		unknown = Allow
	}
	var known sync.Map // reflect.Type to *Rules
	return func(_ context.Context, req *micro.Request, dto any) error {
		t := reflect.TypeOf(dto).Elem()
		if t == reflect.TypeFor[json.RawMessage]() || t == reflect.TypeFor[micro.None]() {
			return nil
		}
		rules, ok := known.Load(t)
		if !ok {
			made, err := For(t)
			if err != nil {
				return err
			}
			rules, _ = known.LoadOrStore(t, made)
		}
		data := req.Data
		if data == nil {
			data = []byte("{}")
		}
		v, err := Parse(data)
		if err != nil {
			return BadRequest([]string{"the data cannot be read: " + err.Error()})
		}
		if problems := rules.(*Rules).Check(v, data, unknown); problems != nil {
			return BadRequest(problems)
		}
		return nil
	}
}

// badRequest is what NestJS's BadRequestException states, with its status under the name
// that gateways expect in an RpcException.
type badRequest struct {
	Status  int      `json:"status"`
	Message []string `json:"message"`
	Error   string   `json:"error"`
}

// BadRequest returns the error for invalid data:
// {"status":400,"message":[…],"error":"Bad Request"}.
func BadRequest(problems []string) *micro.Error {
	return micro.NewError(badRequest{400, problems, "Bad Request"})
}
