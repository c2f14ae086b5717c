package payload

import (
	"fmt"
	"strings"
	"sync"
	"text/template"

	"github.com/msctl/msctl/runtime/micro"
)

// Line returns a function that generates a text of each attempt, such as the path of a
// URL or a header. line has the marks of text's expressions; escape converts the value
// of each. An expression sees the same row and draws the same values as the data of the
// request. The functions of metadata, attempt and deadline, are available as well. The
// template is evaluated for every row; the error names the first one that does not fit.
func (s *Source) Line(line string, text Text, escape func(string) string) (func(seq uint64, attempt *micro.Request) string, error) {
	if text.Empty() {
		return func(uint64, *micro.Request) string { return line }, nil
	}
	t := &lines{source: s, escape: escape}
	if err := s.decode(); err != nil {
		return nil, err
	}
	if err := text.check(t.functions(&metaFiller{})); err != nil {
		return nil, err
	}
	var err error
	t.template, err = template.New("line").Funcs(t.functions(&metaFiller{})).Option("missingkey=error").Parse(assembleLine(line, text.expressions))
	if err != nil {
		return nil, fmt.Errorf("prepare the template: %w", err)
	}
	for row := range max(len(s.rows), 1) {
		if _, err := t.fill(uint64(row), row, &micro.Request{}); err != nil {
			return nil, s.misfit(row, err)
		}
	}
	return func(seq uint64, attempt *micro.Request) string {
		out, _ := t.fill(seq, s.row(seq), attempt) // cannot fail: every row was tried above
		return out
	}, nil
}

// lines generates one text.
type lines struct {
	source   *Source
	escape   func(string) string
	template *template.Template
	fillers  sync.Pool // of *metaFiller, made from template
}

func (t *lines) functions(f *metaFiller) template.FuncMap {
	all := f.functions()
	for name, function := range functions(&f.draw) {
		all[name] = function
	}
	all["line"] = func(v any) string { return t.escape(fmt.Sprint(v)) }
	return all
}

func (t *lines) fill(seq uint64, row int, attempt *micro.Request) (string, error) {
	f, _ := t.fillers.Get().(*metaFiller)
	if f == nil {
		own, err := t.template.Clone()
		if err != nil {
			return "", fmt.Errorf("copy the template: %w", err)
		}
		f = &metaFiller{}
		f.draw.prepare()
		f.template = own.Funcs(t.functions(f))
	}
	defer t.fillers.Put(f)
	f.draw.begin(t.source.seed, seq)
	f.attempt = attempt
	var value any
	if row < len(t.source.values) {
		value = t.source.values[row]
	}
	var out strings.Builder
	err := f.template.Execute(&out, value)
	return out.String(), err
}

// assembleLine replaces the marks with wrapped expressions.
func assembleLine(line string, expressions []string) string {
	var b strings.Builder
	for i := 0; i < len(line); {
		if n, ok := marked(line[i:], len(expressions)); ok {
			b.WriteString("{{line (" + expressions[n] + ")}}")
			i += len(mark(n))
			continue
		}
		if strings.HasPrefix(line[i:], "{{") { // of a value that was looked up
			b.WriteString(`{{"{"}}`)
		} else {
			b.WriteByte(line[i])
		}
		i++
	}
	return b.String()
}
