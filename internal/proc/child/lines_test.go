package child

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

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
		{"carriage returns", "a\r\nb\rc\r\n\r\nd\r", []string{"a", "b", "c", "", "d"}},
		{"progress", "1%\r2%\r3%\r4%\ndone\n", []string{"1%", "4%", "done"}},
		{"progress that is cleared", "\r1%\r2%\r3%\r\n5%\r\r\n", []string{"1%", "3%", "5%"}},
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

// TestPrompt checks that an incomplete line is delivered when nothing follows, and a line
// that is overwritten from time to time.
func TestPrompt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		got := make(chan string, 10)
		done := make(chan struct{})
		go func() {
			defer close(done)
			readLines(r, func(line string) { got <- line })
		}()
		say := func(text string, wait time.Duration, want ...string) {
			t.Helper()
			_, _ = io.WriteString(w, text)
			<-time.After(wait)
			synctest.Wait()
			var lines []string
			for len(got) > 0 {
				lines = append(lines, <-got)
			}
			if diff := cmp.Diff(want, lines); diff != "" {
				t.Errorf("%v after %q (-want +got):\n%s", wait, text, diff)
			}
		}
		say("Continue? ", promptDelay/2)
		say("(y/N) ", promptDelay/2)
		say("", promptDelay, "Continue? (y/N) ")
		say("\n", promptDelay)       // the answer ends the line
		say("\n", promptDelay, "")   // an empty line
		say("a\r", promptDelay, "a") // the line end is split
		say("\n", promptDelay)
		say("10%\r", promptDelay/2)
		say("20%\r", promptDelay/2, "10%")
		for range 2 {
			say("30%\r40%\r", promptDelay/2)
		}
		say("50%\r", progressInterval, "50%")
		say("60%\r70%\n", promptDelay, "60%", "70%")
		_ = w.Close()
		<-done
	})
}
