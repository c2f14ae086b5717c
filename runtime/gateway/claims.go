package gateway

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/msctl/msctl/runtime/principal"
	"github.com/msctl/msctl/runtime/validate"
)

// claimed returns the members that are claims of the caller. A caller without a claim that is
// required, or with one of another type, cannot correct the request, so it may not use the route.
func (in *input) claimed(caller *principal.Principal) (map[string]any, *problem) {
	if len(in.claims) == 0 {
		return nil, nil
	}
	claims, err := claimsOf(caller)
	if err != nil {
		return nil, internalProblem(err)
	}
	members := map[string]any{}
	for _, f := range in.claims {
		value, there := claims[f.Claim]
		if !there && !f.Required {
			continue
		}
		if text, ok := value.(string); ok {
			texts := []string{text}
			if f.Type.Kind() == reflect.Slice {
				texts = strings.Fields(text) // the form of scope
			}
			value = f.FromText(texts)
		}
		switch problems := f.Check(value, validate.Allow); {
		case len(problems) == 0:
			members[f.Name] = value
		case caller == nil:
			return nil, unauthorizedProblem()
		default:
			return nil, forbiddenProblem().
				because(fmt.Errorf("claim %s of the caller: %s", f.Claim, problems[0]))
		}
	}
	return members, nil
}

// claimsOf returns the claims of a caller, which may be nil. An API key has those that a token
// would have.
func claimsOf(caller *principal.Principal) (map[string]any, error) {
	claims := map[string]any{}
	if caller == nil {
		return claims, nil
	}
	if caller.Claims != nil {
		tree, err := validate.Parse(caller.Claims)
		if err != nil {
			return nil, fmt.Errorf("claims of the caller: %w", err)
		}
		claims, _ = tree.(map[string]any)
	}
	if caller.Claims == nil {
		claims["scope"] = strings.Join(caller.Scopes, " ")
		roles := make([]any, len(caller.Roles))
		for i, role := range caller.Roles {
			roles[i] = role
		}
		claims["roles"] = roles
	}
	claims["sub"] = caller.Subject
	return claims, nil
}
