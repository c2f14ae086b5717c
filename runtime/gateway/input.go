package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/principal"
	"github.com/msctl/msctl/runtime/validate"
)

// input builds the data of a message from the parts of a request.
type input struct {
	rules  *validate.Rules // of all members except whole; nil for raw JSON and without data
	path   []validate.Field
	query  []validate.Field
	header []validate.Field
	claims []validate.Field
	body   bool // whether a body is read

	whole      *validate.Field // the member that is the body; nil if the body has the members that are nowhere else
	wholeRules *validate.Rules

	check      func(data []byte) error // decodes and validates a micro.Validator; nil otherwise
	checkWhole func(data []byte) error // check for whole
}

// newInput assigns the members of t to the parts of a request.
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
	var rest []string
	for _, f := range rules.Fields() {
		i := slices.Index(wanted, f.Path)
		switch {
		case f.Path != "" && i >= 0:
			in.path = append(in.path, f)
			wanted = slices.Delete(wanted, i, i+1)
		case f.Claim != "":
			in.claims = append(in.claims, f)
		case f.Header != "":
			in.header = append(in.header, f)
		case f.Body:
			if err := in.setWhole(f, method); err != nil {
				return nil, err
			}
		case f.Query != "" || !in.body:
			in.query = append(in.query, f)
		default:
			rest = append(rest, f.Name)
		}
	}
	if len(wanted) > 0 {
		return nil, errors.New("no field of " + t.String() + " has the tag path:\"" + wanted[0] + "\"")
	}
	if in.whole != nil && len(rest) > 0 {
		return nil, fmt.Errorf("the body is the member %s, so %s needs a tag path, query, header, or claim", in.whole.Name, rest[0])
	}
	in.body = in.body && (len(rest) > 0 || in.whole != nil)
	in.check = validatorOf(t)
	return in, nil
}

// setWhole makes a member the body.
func (in *input) setWhole(f validate.Field, method string) error {
	switch {
	case !in.body:
		return fmt.Errorf("the member %s is the body, which a %s request does not have", f.Name, method)
	case in.whole != nil:
		return fmt.Errorf("both %s and %s are the body", in.whole.Name, f.Name)
	}
	in.whole, in.wholeRules, in.rules = &f, f.Rules(), in.rules.Without(f.Name)
	in.checkWhole = validatorOf(f.Type)
	return nil
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
			return errForm
		}
		return v.Interface().(micro.Validator).Validate()
	}
}

// data returns the JSON text of the message's data, from the body of a request, which may
// be nil, from its URL and header, and from the claims of its caller.
func (in *input) data(raw []byte, req *http.Request, caller *principal.Principal, r *route) ([]byte, *problem) {
	if in.rules == nil {
		if raw != nil && !json.Valid(raw) {
			return nil, newProblem(http.StatusBadRequest, "The body is not valid JSON")
		}
		return raw, nil
	}
	body := any(map[string]any{})
	if raw != nil {
		var err error
		if body, err = validate.Parse(raw); err != nil {
			return nil, newProblem(http.StatusBadRequest, "The body cannot be read: "+err.Error())
		}
	}
	tree, rest := body, raw
	if in.whole != nil {
		tree, rest = map[string]any{}, nil
	}
	claims, problem := in.claimed(caller)
	if problem != nil {
		return nil, problem
	}
	problems := in.merge(tree, req, r)
	if members, ok := tree.(map[string]any); ok {
		maps.Copy(members, claims)
	}
	problems = append(problems, in.rules.Check(tree, rest, r.unknown)...)
	present := in.whole != nil && (raw != nil || in.whole.Required)
	if present {
		problems = append(problems, in.wholeRules.Check(body, raw, r.unknown)...)
	}
	if len(problems) > 0 {
		return nil, badRequest(problems)
	}
	if present {
		if in.checkWhole != nil {
			if _, problem := encoded(body, in.checkWhole); problem != nil {
				return nil, problem
			}
		}
		tree.(map[string]any)[in.whole.Name] = body
	}
	return encoded(tree, in.check)
}

// encoded returns a tree as JSON, or what a micro.Validator reports about it; check may be nil.
func encoded(tree any, check func([]byte) error) ([]byte, *problem) {
	data, err := micro.JSON().Append(nil, tree)
	if err != nil {
		return nil, internalProblem(err)
	}
	if check != nil {
		if err := check(data); err != nil {
			return nil, refusal(err)
		}
	}
	return data, nil
}

func badRequest(problems []string) *problem {
	return &problem{status: http.StatusBadRequest, message: jsonOf(problems), title: http.StatusText(http.StatusBadRequest)}
}

// refusal returns the problem for the error of a micro.Validator.
func refusal(err error) *problem {
	var e *micro.Error
	if errors.As(err, &e) {
		return problemOfRemote(e)
	}
	return badRequest(strings.Split(err.Error(), "\n")) // errors.Join's lines
}

// merge adds the members in the URL and the header to the tree, and reports members in the wrong
// part of the request. None of them, nor a claim, can be set by the body.
func (in *input) merge(tree any, req *http.Request, r *route) (problems []string) {
	members, ok := tree.(map[string]any)
	if !ok {
		return nil // Check reports it
	}
	for _, f := range in.elsewhere() {
		if _, there := members[f.Name]; there {
			delete(members, f.Name)
			if r.unknown == validate.Forbid {
				problems = append(problems, "property "+f.Name+" should not exist")
			}
		}
		if r.unknown == validate.Allow {
			in.deleteVariants(members, f.Name)
		}
	}
	for _, f := range in.path {
		members[f.Name] = f.FromText([]string{req.PathValue(f.Path)})
	}
	for _, f := range in.header {
		if readsVersion(f) {
			version, given, valid := versionIn(req.Header.Values(headerIfMatch))
			if given {
				members[f.Name] = version
			}
			if !valid {
				problems = append(problems, errTag)
			}
			continue
		}
		if texts := headerTexts(f, req); len(texts) > 0 {
			members[f.Name] = f.FromText(texts)
		}
	}
	query := req.URL.Query()
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

// elsewhere returns the members that are not in the body.
func (in *input) elsewhere() []validate.Field {
	return slices.Concat(in.path, in.query, in.header, in.claims)
}

// deleteVariants deletes the members that encoding/json in a service would take for a member that
// is not in the body: those whose names differ in case only.
func (in *input) deleteVariants(members map[string]any, name string) {
	for other := range members {
		if strings.EqualFold(other, name) && !slices.ContainsFunc(in.rules.Fields(), func(f validate.Field) bool { return f.Name == other }) {
			delete(members, other)
		}
	}
}

// headerTexts returns the values of a member in the header. Repeated lines are one list, as
// RFC 9110 and Node.js have it.
func headerTexts(f validate.Field, req *http.Request) []string {
	values := req.Header.Values(f.Header)
	if strings.EqualFold(f.Header, "Host") {
		values = []string{req.Host}
	}
	if len(values) == 0 {
		return nil
	}
	all := strings.Join(values, ", ")
	if f.Type.Kind() != reflect.Slice {
		return []string{all}
	}
	texts := strings.Split(all, ",")
	for i := range texts {
		texts[i] = strings.TrimSpace(texts[i])
	}
	return texts
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
