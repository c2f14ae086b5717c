package watch

import (
	"path"
	"strings"
)

// matchGlob reports whether a glob matches a path with slashes. ** matches any number
// of folders; everything else is matched folder by folder, as by path.Match.
func matchGlob(glob, name string) bool {
	return matchParts(strings.Split(path.Clean(glob), "/"), strings.Split(path.Clean(name), "/"))
}

func matchParts(glob, name []string) bool {
	for len(glob) > 0 {
		if glob[0] == "**" {
			for skip := range len(name) + 1 {
				if matchParts(glob[1:], name[skip:]) {
					return true
				}
			}
			return false
		}
		if len(name) == 0 {
			return false
		}
		if ok, err := path.Match(glob[0], name[0]); !ok || err != nil {
			return false // malformed globs are rejected when msctl.yaml is loaded
		}
		glob, name = glob[1:], name[1:]
	}
	return len(name) == 0
}

// globBase returns the folder that contains everything a glob matches.
func globBase(glob string) string {
	parts := strings.Split(path.Clean(glob), "/")
	for i, part := range parts {
		if strings.ContainsAny(part, `*?[\`) {
			return path.Join(parts[:i]...)
		}
	}
	return path.Dir(path.Clean(glob))
}
