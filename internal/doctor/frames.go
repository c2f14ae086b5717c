package doctor

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/msctl/msctl/internal/target"
	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/wire"
)

// probeID is the ID of the question about frame lengths, as JSON. Its lengths in bytes, code points, and UTF-16
// code units all differ. A service sends the ID back.
const probeID = `"msctl-é-😀"`

// counting is a way to count the length of a frame.
type counting struct {
	name  string
	count func(body []byte) int
}

// countings lists the ways to count, the right one first.
func countings() []counting {
	return []counting{
		{"UTF-16 code units", units},
		{"bytes", func(b []byte) int { return len(b) }},
		{"code points", utf8.RuneCount},
	}
}

func units(b []byte) (n int) {
	for _, r := range string(b) {
		n += utf16.RuneLen(r)
	}
	return n
}

// frames compares how services count the lengths of frames. It asks msctl.describe with an ID of special characters.
func frames(ctx context.Context, e *exam) {
	for _, o := range e.seen {
		if o.target.Kind() != target.TCP {
			continue
		}
		if o.replies == 0 {
			e.skip(place(o.target), "no service replies there")
			continue
		}
		e.counts(ctx, o)
	}
}

func (e *exam) counts(ctx context.Context, o *observation) {
	all := countings()
	sent, err := e.frame(ctx, o.target, all[0])
	if err == nil {
		e.checked()
		if !slices.Contains(sent, all[0].name) {
			e.found(countFinding(o, sent[0], "the length of its reply counts "+sent[0]))
		}
		return
	}
	for _, c := range all[1:] {
		if _, again := e.frame(ctx, o.target, c); again == nil {
			e.found(countFinding(o, c.name, fmt.Sprintf("it did not reply to a question with the characters é and 😀 whose length counts UTF-16 code units (%s), but to the same question with a length in %s", err, c.name)))
			return
		}
	}
	// One of several connections may have been lost for another reason: only a state that lasts is one.
	if _, again := e.frame(ctx, o.target, all[0]); again == nil {
		e.checked()
		return
	}
	e.skip(place(o.target), "it did not reply to a question with special characters, however its length was counted: "+err.Error())
}

func countFinding(o *observation, counts, evidence string) Finding {
	return Finding{
		Code: "frame-length", Where: place(o.target),
		Evidence: []string{"it replies to messages in ASCII", evidence},
		Cause:    "the peer counts the length of a frame in " + counts + ", and NestJS counts UTF-16 code units: every message with other characters than ASCII breaks the connection",
		Fix:      "count UTF-16 code units, as JavaScript's string.length does: 2 for each code point above U+FFFF, 1 for each other one",
	}
}

// maxFrame limits the reply to the question about frames, in bytes.
const maxFrame = 8 << 20

var errNoFrame = errors.New("the reply is no frame")

// frame asks with a length that is counted in one way, and returns the ways in which the length of the reply may
// have been counted.
func (e *exam) frame(ctx context.Context, t target.Target, c counting) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, e.Timeout)
	defer cancel()
	conn, err := e.Flags.Connect(ctx, t)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	body := wire.AppendRequest(nil, micro.DescribePattern.JSON(), []byte("{}"), nil, []byte(probeID))
	if _, err := conn.Write(append([]byte(strconv.Itoa(c.count(body))+"#"), body...)); err != nil {
		return nil, err
	}
	return readFrame(conn)
}

// readFrame reads one reply, whatever its length counts: a JSON object ends where its braces do.
func readFrame(conn net.Conn) ([]string, error) {
	r := bufio.NewReader(io.LimitReader(conn, maxFrame))
	head, err := r.ReadString('#')
	if err != nil {
		return nil, readError(err)
	}
	length, err := strconv.Atoi(strings.TrimSuffix(head, "#"))
	if err != nil || length <= 0 {
		return nil, errNoFrame
	}
	body, err := readObject(r)
	if err != nil {
		return nil, readError(err)
	}
	var names []string
	for _, c := range countings() {
		if c.count(body) == length {
			names = append(names, c.name)
		}
	}
	if len(names) == 0 {
		return nil, errNoFrame
	}
	return names, nil
}

func readError(err error) error {
	var late net.Error
	switch {
	case errors.As(err, &late) && late.Timeout(), errors.Is(err, net.ErrClosed):
		return errors.New("no reply in time")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("it closed the connection")
	}
	return err
}

// readObject reads a JSON object, which may contain others and strings.
func readObject(r *bufio.Reader) (body []byte, err error) {
	depth, inString := 0, false
	for {
		c, err := r.ReadByte()
		if err != nil {
			return nil, err
		}
		body = append(body, c)
		switch {
		case inString && c == '\\':
			if c, err = r.ReadByte(); err != nil {
				return nil, err
			}
			body = append(body, c)
		case c == '"':
			inString = !inString
		case inString:
		case c == '{':
			depth++
		case c == '}':
			depth--
		}
		if depth == 0 && !inString {
			if body[0] != '{' {
				return nil, errNoFrame
			}
			return body, nil
		}
	}
}
