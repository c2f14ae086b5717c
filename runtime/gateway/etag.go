package gateway

import (
	"crypto/sha1" //nolint:gosec // an identifier, not a protection
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
)

// writeTagged writes a successful JSON response. A GET has an ETag, and one whose client has the
// same body already gets 304, unless the client reloads it with Cache-Control: no-cache. The header may have a tag of the route's own.
func writeTagged(w http.ResponseWriter, req *http.Request, status int, body []byte) {
	if status != http.StatusOK || req.Method != http.MethodGet && req.Method != http.MethodHead {
		writeJSON(w, status, body)
		return
	}
	tag := w.Header().Get("ETag")
	if tag == "" {
		tag = etag(body)
		w.Header().Set("ETag", tag)
	}
	if matches(req.Header.Values("If-None-Match"), tag) && !strings.Contains(req.Header.Get("Cache-Control"), "no-cache") {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	writeJSON(w, status, body)
}

// etag returns the weak tag that Express, and so NestJS, gives to a body: a client that moves
// between the two keeps its cache.
func etag(body []byte) string {
	sum := sha1.Sum(body) //nolint:gosec // see the import
	return `W/"` + strconv.FormatInt(int64(len(body)), 16) + "-" + base64.StdEncoding.EncodeToString(sum[:])[:27] + `"`
}

// matches reports whether a list of tags contains one, or is "*". Tags are compared without their
// strength, as RFC 9110 requires for If-None-Match.
func matches(headers []string, tag string) bool {
	tag = strings.TrimPrefix(tag, "W/")
	for _, header := range headers {
		for one := range strings.SplitSeq(header, ",") {
			one = strings.TrimSpace(one)
			if one == "*" || strings.TrimPrefix(one, "W/") == tag {
				return true
			}
		}
	}
	return false
}
