package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/validate"
)

const (
	headerETag    = "ETag"
	headerIfMatch = "If-Match"
	exampleTag    = `"3-Y9gpmxCvHq0hQQn4p8bHzxCkZ2E"`
)

// WithVersionTag puts the version of a reply into the ETag of the response. A client sends the tag
// back as If-Match, which an integer with the tag header:"If-Match" reads in the input of another
// route:
//
//	type UpdateItemInput struct {
//		ID      string        `json:"id" path:"id"`
//		Version int64         `json:"version,omitzero" header:"If-Match" minimum:"1"`
//		Changes UpdateItemDto `json:"updateItemDto" in:"body"`
//	}
//
//	gateway.Route(gw, "GET /items/{id}", c, FindOneItem, gateway.WithVersionTag(func(i Item) int64 { return i.Version }))
//	gateway.Route(gw, "PATCH /items/{id}", c, UpdateItem, gateway.WithVersionTag(func(i Item) int64 { return i.Version }))
//
// The service compares the versions, and replies with an error of status 409 if they differ. The
// tag also depends on the body, so it suits If-None-Match even if a body can change without its
// version. A version of 0 or less adds no tag. Adding the route panics if Out is not the output of
// its method, if the route is a [Stream], or with [WithOutput], whose body is another one.
func WithVersionTag[Out any](of func(Out) int64) RouteOption {
	return routeOption(func(r *route) {
		if out := reflect.TypeFor[Out](); r.answer != oneValue || out != r.reply {
			panic(fmt.Sprintf("gateway: route %s %s: WithVersionTag takes %s, but the reply is %v", r.method, r.path, out, r.reply))
		}
		r.version = func(reply []byte) (int64, error) {
			var out Out
			if err := micro.JSON().Unmarshal(reply, &out); err != nil {
				return 0, fmt.Errorf("decode the reply: %w", err)
			}
			return of(out), nil
		}
	})
}

// addVersionTag adds the ETag of WithVersionTag to the response for a reply.
func (r *route) addVersionTag(h http.Header, reply []byte) error {
	if r.version == nil || len(reply) == 0 {
		return nil
	}
	version, err := r.version(reply)
	if err != nil || version <= 0 {
		return err
	}
	_, sum, _ := strings.Cut(etag(reply), "-")
	h.Set(headerETag, `"`+strconv.FormatInt(version, 10)+"-"+sum)
	return nil
}

// readsVersion reports whether a member is the version in If-Match.
func readsVersion(f validate.Field) bool {
	return strings.EqualFold(f.Header, headerIfMatch) && integer(f.Type)
}

func integer(t reflect.Type) bool {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return reflect.Zero(t).CanInt() || reflect.Zero(t).CanUint()
}

// versionIn returns the version in the values of If-Match; given is false for none and for *. A
// tag may be weak, because compression makes it so.
func versionIn(values []string) (version json.Number, given, valid bool) {
	if len(values) == 0 || len(values) == 1 && strings.TrimSpace(values[0]) == "*" {
		return "", false, true
	}
	tag := strings.TrimPrefix(strings.TrimSpace(values[0]), "W/")
	inner, opened := strings.CutPrefix(tag, `"`)
	inner, closed := strings.CutSuffix(inner, `"`)
	digits, _, _ := strings.Cut(inner, "-")
	n, err := strconv.ParseInt(digits, 10, 64)
	valid = len(values) == 1 && opened && closed && !strings.ContainsAny(inner, "\", \t") && err == nil && n > 0 && strconv.FormatInt(n, 10) == digits
	return json.Number(digits), valid, valid
}

// errTag is the problem of an If-Match that is not the tag of a version.
const errTag = "If-Match must be * or the ETag of one earlier response"

// versionParameter documents If-Match as a header, whose value is a tag, not a number.
func versionParameter(p *huma.Param) {
	p.Schema = &huma.Schema{Type: huma.TypeString}
	p.Example = exampleTag
}
