package scaffold

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/msctl/msctl/internal/workspace"
)

var harmless = regexp.MustCompile(`(?i)^(readme|licen[cs]e|copying|notice|changelog)(\..*)?$|^\.(git|gitignore|gitattributes|editorconfig|ds_store)$`)

// Fresh reports whether a folder does not exist, or contains nothing but what a repository
// starts with, such as a README and a license.
func Fresh(dir string) bool {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	return !slices.ContainsFunc(entries, func(e os.DirEntry) bool { return !harmless.MatchString(e.Name()) })
}

// IsWorkspace reports whether a folder contains a workspace.
func IsWorkspace(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, workspace.FileName))
	return err == nil
}

// Adopt fits the files of a new workspace to those that its folder already has: a README is
// kept, and .gitignore and .gitattributes get the missing lines.
func Adopt(dir string, files []File) ([]File, error) {
	written, _, err := readRecord(dir)
	if err != nil {
		return nil, err
	}
	var adopted []File
	for _, f := range files {
		old, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(f.Path)))
		switch {
		case errors.Is(err, fs.ErrNotExist), err == nil && written[f.Path] != "":
		case err != nil:
			return nil, fmt.Errorf("read %s: %w", f.Path, err)
		case f.Path == "README.md":
			continue
		case f.Path == ".gitignore", f.Path == ".gitattributes":
			f.Data, f.Edited = withLines(unix(old), f.Data), true
		}
		adopted = append(adopted, f)
	}
	return adopted, nil
}

// withLines returns text with the lines of more that it lacks, without comments.
func withLines(text, more []byte) []byte {
	known := strings.Split(string(text), "\n")
	var missing strings.Builder
	for line := range strings.Lines(string(more)) {
		if !strings.HasPrefix(line, "#") && !slices.Contains(known, strings.TrimSuffix(line, "\n")) {
			missing.WriteString(line)
		}
	}
	if missing.Len() == 0 {
		return text
	}
	if len(text) > 0 && !bytes.HasSuffix(text, []byte("\n")) {
		text = append(text, '\n')
	}
	return append(text, "\n# Added by msctl.\n"+missing.String()...)
}

// FreePorts returns the first of count consecutive ports on which no program of this machine
// listens. It tries first, first+10, and so on.
func FreePorts(ctx context.Context, first, count int) (int, error) {
	for port := first; port+count <= 65536; port += 10 {
		free := true
		for i := range count {
			free = free && isFree(ctx, port+i)
		}
		if free {
			return port, nil
		}
	}
	return 0, fmt.Errorf("no %d consecutive ports from %d on are free", count, first)
}

func isFree(ctx context.Context, port int) bool {
	for _, host := range []string{"127.0.0.1", ""} {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(host, fmt.Sprint(port)))
		if err != nil {
			return false
		}
		l.Close()
	}
	return true
}
