package gateway

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/validate"
)

// input builds the data of a message from the parts of a request.
type input struct {
	rules *validate.Rules // nil for raw JSON and without data
	path  []validate.Field
	query []validate.Field
	body  bool // whether a body is read

	check func(data []byte) error // decodes and validates a micro.Validator; nil otherwise
}

// newInput assigns the members of t to path, query, and body.
func newInput(t reflect.Type, method, path string) (*input, error) {
	in := &input{body: hasBody(method)}
	if t == reflect.TypeFor[json.RawMessage]() {
		return in, nil
	}
	rules, err := validate.For(t)
	if err != nil {
		return nil, err
	}
	in.rules = rules
	wanted := wildcards(path)
	if !rules.Object() {
		if len(wanted) > 0 || !in.body {
			return nil, errors.New("data that is no struct needs a body and a path without {…}")
		}
		return in, nil
	}
	rest := 0
	for _, f := range rules.Fields() {
		i := slices.Index(wanted, f.Path)
		switch {
		case f.Path != "" && i >= 0:
			in.path = append(in.path, f)
			wanted = slices.Delete(wanted, i, i+1)
		case f.Query != "" || !in.body:
			in.query = append(in.query, f)
		default:
			rest++
		}
	}
	if len(wanted) > 0 {
		return nil, errors.New("no field of " + t.String() + " has the tag path:\"" + wanted[0] + "\"")
	}
	in.body = in.body && rest > 0
	in.check = validatorOf(t)
	return in, nil
}

func hasBody(method string) bool {
	return method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch
}

// wildcards returns the names in the braces of a path.
func wildcards(path string) []string {
	var names []string
	for part := range strings.SplitSeq(path, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok && name != "$}" {
			names = append(names, strings.TrimSuffix(strings.TrimSuffix(name, "}"), "..."))
		}
	}
	return names
}

// validatorOf returns a function that validates data of type t, or nil.
func validatorOf(t reflect.Type) func([]byte) error {
	if !reflect.PointerTo(t).Implements(reflect.TypeFor[micro.Validator]()) {
		return nil
	}
	return func(data []byte) error {
		v := reflect.New(t)
		if err := json.Unmarshal(data, v.Interface()); err != nil {
			return errors.New("the data does not have the expected form")
		}
		return v.Interface().(micro.Validator).Validate()
	}
}

// data returns the JSON text of the message's data, from the body of a request, which may
// be nil, and from its URL.
func (in *input) data(raw []byte, req *http.Request, r *route) ([]byte, *problem) {
	if in.rules == nil {
		if raw != nil && !json.Valid(raw) {
			return nil, newProblem(http.StatusBadRequest, "The body is not valid JSON")
		}
		return raw, nil
	}
	tree := any(map[string]any{})
	if raw != nil {
		var err error
		if tree, err = validate.Parse(raw); err != nil {
			return nil, newProblem(http.StatusBadRequest, "The body cannot be read: "+err.Error())
		}
	}
	problems := in.merge(tree, req, r)
	problems = append(problems, in.rules.Check(tree, raw, r.unknown)...)
	if len(problems) > 0 {
		return nil, badRequest(problems)
	}
	data, err := micro.JSON().Append(nil, tree)
	if err != nil {
		return nil, internalProblem(err)
	}
	if in.check != nil {
		if err := in.check(data); err != nil {
			return nil, refusal(err)
		}
	}
	return data, nil
}

func badRequest(problems []string) *problem {
	return &problem{status: http.StatusBadRequest, message: jsonOf(problems)}
}

// refusal returns the problem for the error of a micro.Validator.
func refusal(err error) *problem {
	var e *micro.Error
	if errors.As(err, &e) {
		return problemOfRemote(e)
	}
	return badRequest(strings.Split(err.Error(), "\n")) // errors.Join's lines
}

// merge adds the members in the URL to the tree, and reports members in the wrong part of
// the request.
func (in *input) merge(tree any, req *http.Request, r *route) (problems []string) {
	members, ok := tree.(map[string]any)
	if !ok {
		return nil // Check reports it
	}
	query := req.URL.Query()
	for _, f := range slices.Concat(in.path, in.query) {
		if _, there := members[f.Name]; there && in.body {
			delete(members, f.Name)
			if r.unknown == validate.Forbid {
				problems = append(problems, "property "+f.Name+" should not exist")
			}
		}
	}
	for _, f := range in.path {
		members[f.Name] = f.FromText([]string{req.PathValue(f.Path)})
	}
	for _, f := range in.query {
		name := queryName(f)
		if texts := query[name]; len(texts) > 0 {
			members[f.Name] = f.FromText(texts)
		}
		delete(query, name)
	}
	if r.unknownQuery == validate.Forbid {
		for _, name := range slices.Sorted(maps.Keys(query)) {
			problems = append(problems, "property "+shown(name)+" should not exist")
		}
	}
	return problems
}

func queryName(f validate.Field) string {
	if f.Query != "" {
		return f.Query
	}
	return f.Name
}

// shown truncates a name chosen by the client.
func shown(name string) string {
	if len(name) > 64 {
		return strings.ToValidUTF8(name[:64], "") + "…"
	}
	return name
}
