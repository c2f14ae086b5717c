package gateway

import (
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"

	"github.com/msctl/msctl/runtime/micro"
)

const (
	headerLink  = "Link"
	headerTotal = "X-Total-Count"
)

// Page is the place of a page in its list: see [WithPages].
type Page struct {
	// Limit and Offset are those of the request (page.Offset). Limit is 0 for a list with
	// cursors.
	Limit, Offset int
	// Total is the number of all items; negative if it is not known.
	Total int
	// Next is the cursor of the next page (page.Cursor); empty for the last one.
	Next string
}

// WithPages adds headers to the response of a list: X-Total-Count, and Link with the pages
// "first", "prev", "next", and "last", as far as they exist and are known. The links differ from
// the request in the parameters offset or cursor only, and are relative to its URL, so that they
// are right behind a proxy, too. The body is the reply, unless the route has [WithOutput].
// Adding the route panics if In and Out are not the input and the output of its method.
func WithPages[In, Out any](of func(In, Out) Page) RouteOption {
	return routeOption(func(r *route) {
		if in, out := reflect.TypeFor[In](), reflect.TypeFor[Out](); r.answer != oneValue || in != r.message || out != r.reply {
			panic(fmt.Sprintf("gateway: route %s %s: WithPages takes %s and %s, but the message is %s, and the reply %v", r.method, r.path, in, out, r.message, r.reply))
		}
		r.gateway.cors.expose(headerLink, headerTotal)
		r.pages = func(data, reply []byte) (Page, error) {
			var in In
			var out Out
			if err := micro.JSON().Unmarshal(data, &in); err != nil {
				return Page{}, fmt.Errorf("decode the message: %w", err)
			}
			if err := micro.JSON().Unmarshal(reply, &out); err != nil {
				return Page{}, fmt.Errorf("decode the reply: %w", err)
			}
			return of(in, out), nil
		}
	})
}

// addPages adds the headers of WithPages to the response for a reply.
func (r *route) addPages(h http.Header, query url.Values, data, reply []byte) error {
	if r.pages == nil || len(reply) == 0 {
		return nil
	}
	page, err := r.pages(data, reply)
	if err != nil {
		return err
	}
	if page.Total >= 0 {
		h.Set(headerTotal, strconv.Itoa(page.Total))
	}
	if links := page.links(query); len(links) > 0 {
		h.Set(headerLink, strings.Join(links, ", "))
	}
	return nil
}

// links returns the links to the other pages of a list.
func (p Page) links(query url.Values) (all []string) {
	add := func(rel, parameter, value string) {
		query.Set(parameter, value)
		all = append(all, fmt.Sprintf("<?%s>; rel=%q", query.Encode(), rel))
	}
	if p.Next != "" {
		add("next", "cursor", p.Next)
	}
	if p.Limit <= 0 || p.Next != "" {
		return all
	}
	add("first", "offset", "0")
	if p.Offset > 0 {
		add("prev", "offset", strconv.Itoa(max(0, p.Offset-p.Limit)))
	}
	if p.Offset+p.Limit < p.Total {
		add("next", "offset", strconv.Itoa(p.Offset+p.Limit))
	}
	if p.Total > 0 {
		add("last", "offset", strconv.Itoa((p.Total-1)/p.Limit*p.Limit))
	}
	return all
}
