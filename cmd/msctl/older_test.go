package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// makeOlder is `older VERSION [FILE NOW THEN]…`. It makes the workspace in the current
// folder look as if msctl VERSION had written it, with templates that have the text THEN
// where those of this msctl have NOW. The file must not have been edited yet.
func makeOlder(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args)%3 != 1 {
		ts.Fatalf("usage: older VERSION [FILE NOW THEN]…")
	}
	const name = "third_party/msctl/base.tar.gz"
	sums := ts.ReadFile("msctl.sum")
	then := map[string]string{}
	for edit := args[1:]; len(edit) > 0; edit = edit[3:] {
		text := ts.ReadFile(edit[0])
		if !strings.Contains(text, edit[1]) {
			ts.Fatalf("%s does not contain %q", edit[0], edit[1])
		}
		older := strings.ReplaceAll(text, edit[1], edit[2])
		sums = strings.Replace(sums, objectID(text), objectID(older), 1)
		then[edit[0]] = older
	}
	data, err := rewrite([]byte(ts.ReadFile(name)), func(file, text string) string {
		if file == "answers.json" {
			start, end := strings.Index(text, `"msctl": "`), strings.Index(text, `"answers"`)
			return text[:start] + `"msctl": "` + args[0] + `", "edition": "older", ` + text[end:]
		}
		for edit := args[1:]; len(edit) > 0; edit = edit[3:] {
			if edit[0] == file {
				text = strings.ReplaceAll(text, edit[1], edit[2])
			}
		}
		return text
	})
	ts.Check(err)
	then[name], then["msctl.sum"] = string(data), sums
	for file, text := range then {
		ts.Check(os.WriteFile(ts.MkAbs(file), []byte(text), 0o644))
	}
}

// objectID returns git's object ID of a text.
func objectID(text string) string {
	return fmt.Sprintf("%x", sha1.Sum(fmt.Appendf(nil, "blob %d\x00%s", len(text), text)))
}

// rewrite returns an archive with changed files.
func rewrite(data []byte, change func(file, text string) string) ([]byte, error) {
	zipped, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	to := gzip.NewWriter(&out)
	packed := tar.NewWriter(to)
	for from := tar.NewReader(zipped); ; {
		header, err := from.Next()
		if errors.Is(err, io.EOF) {
			err = errors.Join(packed.Close(), to.Close())
			return out.Bytes(), err
		}
		if err != nil {
			return nil, err
		}
		text, err := io.ReadAll(from)
		if err != nil {
			return nil, err
		}
		text = []byte(change(header.Name, string(text)))
		header.Size = int64(len(text))
		if err := packed.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := packed.Write(text); err != nil {
			return nil, err
		}
	}
}

// editFile is `edit FILE OLD NEW`. It replaces a text in a file, like a user.
func editFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: edit FILE OLD NEW")
	}
	text := ts.ReadFile(args[0])
	if !strings.Contains(text, args[1]) {
		ts.Fatalf("%s does not contain %q", args[0], args[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.ReplaceAll(text, args[1], args[2])), 0o644))
}
