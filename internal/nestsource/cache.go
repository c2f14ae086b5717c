package nestsource

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/msctl/msctl/internal/disk"
)

// cacheVersion changes when the meaning of the cached values does.
const cacheVersion = 1

// cacheFile is the handlers of a folder, and everything that they were read from.
type cacheFile struct {
	Version  int
	Dir      string
	Stamps   []stamp
	Handlers []Handler
}

// stamp is the state of a file or a folder. The time of a folder changes when a file is
// added or removed.
type stamp struct {
	Path string
	Size int64
	Time int64
}

func stampOf(path string) stamp {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return stamp{Path: path}
	case info.IsDir():
		return stamp{Path: path, Time: info.ModTime().UnixNano()}
	}
	return stamp{path, info.Size(), info.ModTime().UnixNano()}
}

// cached returns the handlers of a folder, from the cache if nothing has changed.
func cached(ctx context.Context, dir string) ([]Handler, error) {
	path := cachePath(dir)
	if c, ok := readCache(path, dir); ok {
		return c.Handlers, nil
	}
	p, err := Open(ctx, dir)
	if err != nil {
		return nil, err
	}
	c := cacheFile{Version: cacheVersion, Dir: dir, Handlers: p.Handlers()}
	for _, source := range p.inputs() {
		c.Stamps = append(c.Stamps, stampOf(source))
	}
	writeCache(path, c)
	return c.Handlers, nil
}

// inputs returns the files and folders that the results depend on.
func (p *Project) inputs() []string {
	out := append(slices.Clone(p.folders), p.resolver.Read()...)
	for path := range p.parsed {
		out = append(out, path)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// cachePath returns the file for a folder, or "" without a folder for caches.
func cachePath(dir string) string {
	root, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	sum := sha256.Sum256([]byte(dir))
	return filepath.Join(root, "msctl", "sources", hex.EncodeToString(sum[:8])+".json")
}

func readCache(path, dir string) (c cacheFile, ok bool) {
	text, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(text, &c) != nil || c.Version != cacheVersion || c.Dir != dir || len(c.Stamps) == 0 {
		return c, false
	}
	for _, s := range c.Stamps {
		if stampOf(s.Path) != s {
			return c, false
		}
	}
	return c, true
}

// writeCache replaces the file. A cache that cannot be written only costs time.
func writeCache(path string, c cacheFile) {
	text, err := json.Marshal(c)
	if err != nil || path == "" || os.MkdirAll(filepath.Dir(path), 0o700) != nil {
		return
	}
	_ = disk.Write(path, func(to io.Writer) error {
		_, err := to.Write(text)
		return err
	})
}
