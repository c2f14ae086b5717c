package payload

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"text/template"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// Meta parses the value of a pair of metadata, which may be a template, and returns a
// function that generates it for each attempt, as load.Pair requires. The template
// functions are seq and uuid, as in data, and these:
//
//	attempt   the number of the attempt, from 1
//	deadline  when the attempt times out: milliseconds since 1970, as in Date.now()
//	now       the current time, in the same form
//
// The error is a *SyntaxError.
func Meta(value string) (func(seq uint64, attempt *micro.Request) string, error) {
	if !strings.Contains(value, "{{") {
		return func(uint64, *micro.Request) string { return value }, nil
	}
	parsed, err := template.New("").Funcs(new(metaFiller).functions()).Parse(value)
	if err != nil {
		return nil, &SyntaxError{value, reason(err)}
	}
	var fillers sync.Pool // of *metaFiller
	fill := func(seq uint64, attempt *micro.Request) (string, error) {
		f, _ := fillers.Get().(*metaFiller)
		if f == nil {
			var err error
			if f, err = newMetaFiller(parsed); err != nil {
				return "", err
			}
		}
		defer fillers.Put(f)
		return f.fill(seq, attempt)
	}
	if _, err := fill(0, &micro.Request{}); err != nil {
		return nil, &SyntaxError{value, reason(err)}
	}
	return func(seq uint64, attempt *micro.Request) string {
		text, _ := fill(seq, attempt) // cannot fail: it was tried above
		return text
	}, nil
}

// Literal returns a template that generates the text.
func Literal(text string) string { return strings.ReplaceAll(text, "{{", `{{"{{"}}`) }

// metaFiller is a copy of a template whose functions serve one attempt at a time.
type metaFiller struct {
	template *template.Template
	draw     draw
	attempt  *micro.Request
}

func newMetaFiller(t *template.Template) (*metaFiller, error) {
	own, err := t.Clone()
	if err != nil {
		return nil, err
	}
	f := &metaFiller{}
	f.draw.source.Seed(rand.Uint64(), rand.Uint64())
	f.draw.prepare()
	f.template = own.Funcs(f.functions())
	return f, nil
}

func (f *metaFiller) fill(seq uint64, attempt *micro.Request) (string, error) {
	f.draw.seq, f.attempt = seq, attempt
	var out strings.Builder
	err := f.template.Execute(&out, nil)
	return out.String(), err
}

func (f *metaFiller) functions() template.FuncMap {
	return template.FuncMap{
		"seq":     func() uint64 { return f.draw.seq },
		"uuid":    f.draw.uuid,
		"now":     func() int64 { return time.Now().UnixMilli() },
		"attempt": func() int { return max(f.attempt.Attempt, 1) },
		"deadline": func() string {
			if f.attempt.Deadline.IsZero() {
				return ""
			}
			return strconv.FormatInt(f.attempt.Deadline.UnixMilli(), 10)
		},
	}
}
