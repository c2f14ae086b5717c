package main

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// read parses text that must be a valid screen.
func read(t *testing.T, text string) *screen {
	t.Helper()
	s, err := parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStyles(t *testing.T) {
	plain := style{fore: foreground}
	cases := []struct {
		text string
		want style // of the first x
	}{
		{"x", plain},
		{"\x1b[31mx", style{fore: palette(1)}},
		{"\x1b[97mx", style{fore: "#ffffff"}},
		{"\x1b[38;5;196mx", style{fore: "#ff0000"}},
		{"\x1b[38;5;255mx", style{fore: "#eeeeee"}},
		{"\x1b[38;2;1;2;3;1mx", style{fore: "#010203", bold: true}},
		{"\x1b[48:2:1:2:3mx", style{fore: foreground, back: "#010203"}},
		{"\x1b[102mx", style{fore: foreground, back: palette(10)}},
		{"\x1b[1;2;3;4mx", style{fore: foreground, bold: true, dim: true, italic: true, underline: true}},
		{"\x1b[1;2;3;4m\x1b[22;23;24mx", plain},
		{"\x1b[31;42m\x1b[39;49mx", plain},
		{"\x1b[7mx", style{fore: ground, back: foreground}},
		{"\x1b[31;7mx", style{fore: ground, back: palette(1)}},
		{"\x1b[7m\x1b[mx", plain},
		{"\x1b[38;5mx", plain},
		{"\x1b[32m \n\x1b[0mx", plain},
	}
	for _, c := range cases {
		s := read(t, c.text)
		row := s.rows[len(s.rows)-1]
		if got := row[len(row)-1].style; got != c.want {
			t.Errorf("%q: %+v, want %+v", c.text, got, c.want)
		}
	}
}

func TestScreensThatAreNone(t *testing.T) {
	cases := map[string]string{
		"":           "the screen is empty",
		"\n\n":       "the screen is empty",
		"a\n\x1b[2J": `line 2: "\x1b[2J" is not an escape code for colors or styles`,
		"a\tb":       `line 1: unsupported character "\t"`,
		"\x1b]0;x\a": `line 1: unsupported character "\x1b"`,
		"a\xff":      `line 1: unsupported character "\xff"`,
	}
	for text, want := range cases {
		if _, err := parse(text); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// TestShapes checks what is drawn for each character.
func TestShapes(t *testing.T) {
	cases := []struct{ text, want string }{
		{"⠁", `<path class="d" stroke="#d5dae1" d="M15 14h2"/>`},
		{"⣀⣀", `<path class="d" stroke="#d5dae1" d="M15 26.8h14.6"/>`},
		{"───", `<path class="l" stroke="#d5dae1" d="M14 20.5h25.2"/>`},
		{"│\n│", `<path class="l u" stroke="#d5dae1" d="M18.2 12v34"/>`},
		{"\x1b[2m┊", `<path class="s" stroke="#d5dae1" opacity=".62" d="M18.2 12v17"/>`},
		{"╭", `<path class="l" stroke="#d5dae1" d="M22.4 20.5Q18.2 20.5 18.2 29"/>`},
		{"┤", `<path class="l" stroke="#d5dae1" d="M18.2 20.5L14 20.5M18.2 20.5L18.2 12M18.2 20.5L18.2 29"/>`},
		{"━", `<path class="h" stroke="#d5dae1" d="M14 20.5h8.4"/>`},
		{"\x1b[32m█", `<path class="b" fill="#6fce7f" d="M14 29v-17h8.4v17z"/>`},
		{"▄", `<path class="b" fill="#d5dae1" d="M14 29v-8.5h8.4v8.5z"/>`},
	}
	for _, c := range cases {
		got := strings.TrimSpace(strings.Join(shapes(read(t, c.text)), ""))
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%q -want +got\n%s", c.text, diff)
		}
	}
}

// TestPicture: a complete picture is XML, has a title, keeps its text, and
// references no other file.
func TestPicture(t *testing.T) {
	screen := "\x1b[1;31m<ok>\x1b[0m  p99 & more  \x1b[44m  stall  \x1b[49m\n╭──⣿⣿──╮\n"
	var first, second strings.Builder
	for _, out := range []*strings.Builder{&first, &second} {
		if err := convert(strings.NewReader(screen), out, `a "storm" <1>`); err != nil {
			t.Fatal(err)
		}
	}
	if first.String() != second.String() {
		t.Error("two pictures of the same screen differ")
	}
	var text []string
	decoder := xml.NewDecoder(strings.NewReader(first.String()))
	for inside := false; ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, &first)
		}
		switch token := token.(type) {
		case xml.StartElement:
			inside = token.Name.Local == "tspan" || token.Name.Local == "title"
		case xml.CharData:
			if inside {
				text = append(text, string(token))
			}
		case xml.EndElement:
			inside = false
		}
	}
	if diff := cmp.Diff([]string{`a "storm" <1>`, "<ok>", "p99 & more", "stall"}, text); diff != "" {
		t.Errorf("text -want +got\n%s", diff)
	}
	if strings.Count(first.String(), "://") != 1 || strings.Contains(first.String(), "href") {
		t.Error("the picture references another file")
	}
}

func FuzzPicture(f *testing.F) {
	f.Add("\x1b[1;38;5;9mstall\x1b[0m ⣿█─\n┤")
	f.Add("\x1b[38;2mx\x1b[;;m&")
	f.Fuzz(func(t *testing.T, text string) {
		var out strings.Builder
		if convert(strings.NewReader(text), &out, "x") != nil {
			return
		}
		if err := xml.Unmarshal([]byte(out.String()), new(struct{})); err != nil {
			t.Errorf("%v in\n%s", err, &out)
		}
	})
}
