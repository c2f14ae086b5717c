// Command ansisvg (`make pictures`) draws a terminal's screen as an SVG picture. It reads what `tmux capture-pane -e -p`
// prints, and writes the picture:
//
//	tmux capture-pane -e -p | go run ./internal/dev/ansisvg -title 'what it shows' > picture.svg
//
// The picture has its own dark ground, names no font that has to be loaded, and holds its text as text. Lines, blocks and
// braille dots are drawn, because fonts have them in different widths or not at all.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	title := flag.String("title", "", "what the picture shows, for those who do not see it")
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
