// Command ansisvg (`make pictures`) draws a terminal screen as an SVG picture. It reads the output of
// `tmux capture-pane -e -p`:
//
//	tmux capture-pane -e -p | go run ./internal/dev/ansisvg -title 'a load test' > picture.svg
//
// The picture has a dark background, requires no fonts to be loaded, and contains its text as text. Lines, blocks, and
// braille dots are drawn as shapes, because fonts have them in different widths or not at all.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	title := flag.String("title", "", "alternative text for screen readers")
	flag.Parse()
	if err := convert(os.Stdin, os.Stdout, *title); err != nil {
		fmt.Fprintln(os.Stderr, "ansisvg:", err)
		os.Exit(1)
	}
}

func convert(in io.Reader, out io.Writer, title string) error {
	text, err := io.ReadAll(in)
	if err != nil {
		return fmt.Errorf("read the screen: %w", err)
	}
	s, err := parse(string(text))
	if err != nil {
		return err
	}
	if _, err := io.WriteString(out, draw(s, title)); err != nil {
		return fmt.Errorf("write the picture: %w", err)
	}
	return nil
}
