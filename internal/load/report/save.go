package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
)

// Save writes the document as indented JSON, for Load. Lists and objects that fit are
// on one line.
func (d *Document) Save(to io.Writer) error {
	fillLists(reflect.ValueOf(d).Elem())
	var compact bytes.Buffer
	encoder := json.NewEncoder(&compact)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(d); err != nil {
		return fmt.Errorf("save the run: %w", err)
	}
	l := layout{src: compact.Bytes()}
	l.value(0)
	l.out.WriteByte('\n')
	if _, err := l.out.WriteTo(to); err != nil {
		return fmt.Errorf("save the run: %w", err)
	}
	return nil
}

// fillLists replaces nil slices and maps with empty ones, because the format has no
// null: readers find [] and {}.
func fillLists(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			fillLists(v.Elem())
		}
	case reflect.Slice:
		if v.IsNil() {
			v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		}
		if kind := v.Type().Elem().Kind(); kind != reflect.Struct && kind != reflect.Slice {
			return
		}
		for i := range v.Len() {
			fillLists(v.Index(i))
		}
	case reflect.Map:
		if v.IsNil() {
			v.Set(reflect.MakeMap(v.Type()))
		}
		for _, key := range v.MapKeys() {
			entry := reflect.New(v.Type().Elem()).Elem() // map entries are not addressable
			entry.Set(v.MapIndex(key))
			fillLists(entry)
			v.SetMapIndex(key, entry)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fillLists(v.Field(i))
			}
		}
	}
}

// lineWidth limits the length of a line with several values.
const lineWidth = 100

// layout indents compact, valid JSON. An object or a list that fits on the line stays
// there, and a longer list of numbers fills lines.
type layout struct {
	src []byte
	at  int // index of the next byte of src
	out bytes.Buffer
	col int
}

// value writes the value at l.at.
func (l *layout) value(depth int) {
	end := valueEnd(l.src, l.at)
	first := l.src[l.at]
	if first != '{' && first != '[' || l.col+end-l.at <= lineWidth {
		l.copy(end)
		return
	}
	fill := first == '[' && !bytes.ContainsAny(l.src[l.at:end], `"{`)
	l.copy(l.at + 1)
	for i := 0; l.src[l.at] != '}' && l.src[l.at] != ']'; i++ {
		l.item(depth+1, fill && i > 0)
	}
	l.newline(depth)
	l.copy(l.at + 1)
}

// item writes one member of an object or list and the comma after it. With fill, it
// stays on the current line if there is room.
func (l *layout) item(depth int, fill bool) {
	end := valueEnd(l.src, l.at)
	switch {
	case fill && l.col+1+end-l.at < lineWidth:
		l.write(' ')
	default:
		l.newline(depth)
	}
	if l.src[end] == ':' {
		l.copy(end + 1)
		l.write(' ')
	}
	l.value(depth)
	if l.src[l.at] == ',' {
		l.copy(l.at + 1)
	}
}

func (l *layout) copy(end int) {
	l.out.Write(l.src[l.at:end])
	l.col += end - l.at
	l.at = end
}

func (l *layout) write(b byte) {
	l.out.WriteByte(b)
	l.col++
}

func (l *layout) newline(depth int) {
	l.out.WriteByte('\n')
	for range depth {
		l.out.WriteString("  ")
	}
	l.col = 2 * depth
}

// valueEnd returns the end of the value that starts at i.
func valueEnd(src []byte, i int) int {
	switch src[i] {
	case '"':
		return stringEnd(src, i)
	case '{', '[':
		return nestEnd(src, i)
	}
	return i + bytes.IndexAny(src[i:], ",]}\n")
}

func stringEnd(src []byte, i int) int {
	for i++; src[i] != '"'; i++ {
		if src[i] == '\\' {
			i++
		}
	}
	return i + 1
}

func nestEnd(src []byte, i int) int {
	for depth := 0; ; i++ {
		switch src[i] {
		case '"':
			i = stringEnd(src, i) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
}
