package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/msctl/msctl/runtime/micro"
)

// WithInput builds the message of a route from an HTTP input of another type. HTTP has the tags,
// is validated, and is in the OpenAPI document; build returns the data of the message, with the
// caller (principal.FromContext) in its context. If build returns a *micro.Error with a status,
// that is the response; any other error is a 500, and is logged. Adding the route panics if In is
// not the input of its method.
func WithInput[HTTP, In any](build func(context.Context, HTTP) (In, error)) RouteOption {
	return routeOption(func(r *route) {
		if in := reflect.TypeFor[In](); in != r.in {
			panic(fmt.Sprintf("gateway: route %s %s: WithInput returns %s, but the message is %s", r.method, r.path, in, r.in))
		}
		r.in = reflect.TypeFor[HTTP]()
		r.convert = func(ctx context.Context, data []byte) ([]byte, error) {
			var in HTTP
			if len(data) > 0 {
				if err := micro.JSON().Unmarshal(data, &in); err != nil {
					return nil, errForm
				}
			}
			message, err := build(ctx, in)
			if err != nil {
				return nil, err
			}
			return micro.JSON().Append(nil, message)
		}
	})
}

// errForm is the problem of data whose type has a decoding of its own, which has rejected it.
var errForm = micro.Errorf(http.StatusBadRequest, "the data does not have the expected form")

// converted returns the data of the message of a route with WithInput.
func (r *route) converted(ctx context.Context, data []byte) ([]byte, *problem) {
	data, err := r.convert(ctx, data)
	var chosen *micro.Error
	switch {
	case errors.As(err, &chosen):
		return nil, problemOfRemote(chosen).because(err)
	case err != nil:
		return nil, internalProblem(err)
	}
	return data, nil
}

// WithOutput builds the response of a route from the reply. Response is the body, or a struct with
// the parts of a response as members:
//
//	type created struct {
//		Location string     `header:"Location" doc:"URL of the item"`
//		Status   int        `in:"status" enum:"200,201"`
//		Item     items.Item `in:"body"`
//	}
//
// A header may be a string, a list of them, a number, or a boolean; an empty string or list is
// not sent. Without a status, or with 0, the route's applies ([WithStatus]); enum lists those in the
// OpenAPI document. Without a member in:"body", and with the status 204, the response has no
// body. Errors are handled as in [WithInput].
//
// For [Stream], shape is called for each value. A server-sent event may have strings in:"id" and
// in:"event", but no header and no status.
//
// Adding the route panics if Out is not the output of its method, or if a member of Response has a
// tag or type that is not listed here.
func WithOutput[Out, Response any](shape func(context.Context, Out) (Response, error)) RouteOption {
	return routeOption(func(r *route) {
		if out := reflect.TypeFor[Out](); out != r.out {
			panic(fmt.Sprintf("gateway: route %s %s: WithOutput takes %s, but the reply is %v", r.method, r.path, out, r.out))
		}
		o, err := newOutput(reflect.TypeFor[Response]())
		stream := r.answer == manyValues
		switch {
		case err != nil:
		case stream && (o.status >= 0 || len(o.headers) > 0 || o.body == nil):
			err = errors.New("the values of a stream are bodies, without status and header")
		case !stream && (o.id >= 0 || o.name >= 0):
			err = errors.New("only the values of a stream are events")
		}
		if err != nil {
			panic(fmt.Sprintf("gateway: route %s %s: WithOutput: %v", r.method, r.path, err))
		}
		for _, h := range o.headers {
			r.gateway.cors.expose(h.name)
		}
		o.shape = func(ctx context.Context, raw []byte) (reflect.Value, error) {
			var out Out
			if len(raw) == 0 && reflect.TypeFor[Out]() != reflect.TypeFor[micro.None]() {
				return reflect.Value{}, micro.ErrNoValue
			}
			if len(raw) > 0 {
				if err := micro.JSON().Unmarshal(raw, &out); err != nil {
					return reflect.Value{}, fmt.Errorf("decode reply: %w", err)
				}
			}
			response, err := shape(ctx, out)
			return reflect.ValueOf(&response).Elem(), err
		}
		r.output, r.out = o, o.body
	})
}

// output describes a response built by WithOutput.
type output struct {
	shape    func(ctx context.Context, raw []byte) (reflect.Value, error)
	status   int   // the field; -1 for none
	statuses []int // of its tag enum
	headers  []outputHeader
	field    int          // of the body; -1 for the whole value
	id, name int          // the fields of a server-sent event; -1 for none
	body     reflect.Type // nil for none
}

type outputHeader struct {
	field int
	name  string
	doc   string
	kind  reflect.Type
}

// newOutput reads the tags of a type.
func newOutput(t reflect.Type) (*output, error) {
	o := &output{status: -1, field: -1, id: -1, name: -1, body: t}
	if t == reflect.TypeFor[micro.None]() {
		o.body = nil
	}
	if t.Kind() != reflect.Struct || !hasParts(t) {
		return o, nil
	}
	o.body = nil
	for i := range t.NumField() {
		if err := o.add(i, t.Field(i)); err != nil {
			return nil, fmt.Errorf("field %s of %s: %w", t.Field(i).Name, t, err)
		}
	}
	return o, nil
}

// hasParts reports whether a struct has the parts of a response as members.
func hasParts(t reflect.Type) bool {
	for i := range t.NumField() {
		tag := t.Field(i).Tag
		if tag.Get("header") != "" || tag.Get("in") != "" {
			return true
		}
	}
	return false
}

// add assigns a field to its part of the response.
func (o *output) add(i int, f reflect.StructField) error {
	header, where := f.Tag.Get("header"), f.Tag.Get("in")
	switch {
	case !f.IsExported():
		return errors.New("must be exported")
	case header != "" && where == "":
		if _, err := headerValues(reflect.Zero(f.Type)); err != nil {
			return err
		}
		o.headers = append(o.headers, outputHeader{i, http.CanonicalHeaderKey(header), f.Tag.Get("doc"), f.Type})
	case where == "body" && o.body == nil:
		o.field, o.body = i, f.Type
	case where == "id" && o.id < 0 && f.Type.Kind() == reflect.String:
		o.id = i
	case where == "event" && o.name < 0 && f.Type.Kind() == reflect.String:
		o.name = i
	case where == "status" && o.status < 0 && f.Type.Kind() == reflect.Int:
		o.status = i
		for text := range strings.SplitSeq(f.Tag.Get("enum"), ",") {
			status, err := strconv.Atoi(text)
			if text != "" && (err != nil || !validStatus(status)) {
				return fmt.Errorf("tag enum: %q must be a status from 200 to 399", text)
			}
			if text != "" {
				o.statuses = append(o.statuses, status)
			}
		}
	default:
		return errors.New(`must have one of the tags header, in:"status" (an int), in:"id" and in:"event" (strings), and in:"body", once each`)
	}
	return nil
}

func validStatus(status int) bool { return status >= 200 && status <= 399 }

// headerValues returns the values of a header; none for an empty string.
func headerValues(v reflect.Value) ([]string, error) {
	switch {
	case v.Kind() == reflect.String && v.String() == "":
		return nil, nil
	case v.Kind() == reflect.String, v.CanInt(), v.CanUint(), v.CanFloat(), v.Kind() == reflect.Bool:
		return []string{fmt.Sprint(v.Interface())}, nil
	case v.Type() == reflect.TypeFor[[]string]():
		return slices.Clone(v.Interface().([]string)), nil
	}
	return nil, fmt.Errorf("a header cannot be %s", v.Type())
}

// write sends the response for a reply.
func (o *output) write(ctx context.Context, w http.ResponseWriter, req *http.Request, status int, raw []byte) error {
	value, body, err := o.value(ctx, raw)
	if err != nil {
		return err
	}
	if o.status >= 0 {
		if given := int(value.Field(o.status).Int()); given != 0 {
			status = given
		}
	}
	if !validStatus(status) {
		return fmt.Errorf("WithOutput: the status %d is not between 200 and 399", status)
	}
	for _, h := range o.headers {
		if values, _ := headerValues(value.Field(h.field)); len(values) > 0 { // newOutput has checked the type
			w.Header()[h.name] = values
		}
	}
	if body == nil || status == http.StatusNoContent || status == http.StatusNotModified {
		w.WriteHeader(status)
		return nil
	}
	writeTagged(w, req, status, body)
	return nil
}

// value returns the response for a reply, and the JSON of its body; nil for none.
func (o *output) value(ctx context.Context, raw []byte) (reflect.Value, []byte, error) {
	value, err := o.shape(ctx, raw)
	if err != nil || o.body == nil {
		return value, nil, err
	}
	body := value
	if o.field >= 0 {
		body = value.Field(o.field)
	}
	text, err := micro.JSON().Append(nil, body.Interface())
	if err != nil {
		return value, nil, fmt.Errorf("encode the response: %w", err)
	}
	return value, text, nil
}
