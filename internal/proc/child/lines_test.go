package child

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

func TestReadLines(t *testing.T) {
	long := strings.Repeat("x", 300_000)
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"nothing", "", nil},
		{"lines", "a\nb\n", []string{"a", "b"}},
		{"no line end at the end", "a\nb", []string{"a", "b"}},
		{"empty lines", "\n\na\n", []string{"", "", "a"}},
		{"carriage returns", "a\r\nb\rc\r\n", []string{"a", "b\rc"}},
		{"a long line", "a\n" + long + "\nb\n", []string{"a", long, "b"}},
		{"binary", "\xff\x00\n", []string{"\xff\x00"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for name, r := range map[string]io.Reader{
				"whole":   strings.NewReader(tt.text),
				"halves":  iotest.HalfReader(strings.NewReader(tt.text)),
				"failing": io.MultiReader(strings.NewReader(tt.text), iotest.ErrReader(io.ErrUnexpectedEOF)),
			} {
				var got []string
				readLines(r, func(line string) { got = append(got, line) })
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("%s reader (-want +got):\n%s", name, diff)
				}
			}
		})
	}
}

// TestEndlessLine checks that an endless line is delivered completely, in pieces.
func TestEndlessLine(t *testing.T) {
	const size = 2*maxLine + 1000
	pieces, total := 0, 0
	readLines(io.LimitReader(endless{}, size), func(line string) {
		pieces++
		total += len(line)
	})
	if total != size || pieces < 2 {
		t.Errorf("got %d bytes in %d pieces, want %d in at least 2", total, pieces, size)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func TestTail(t *testing.T) {
	var output tail
	for i := range tailLines + 5 {
		output.add(strings.Repeat("x", i))
	}
	lines := output.last()
	if len(lines) != tailLines || len(lines[0]) != 5 || len(lines[tailLines-1]) != tailLines+4 {
		t.Errorf("got %d lines, from length %d to %d, want the last %d", len(lines), len(lines[0]), len(lines[len(lines)-1]), tailLines)
	}
}
