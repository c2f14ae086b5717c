package gateway

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"slices"
	"strings"
)

// readBody returns the JSON text of a request's body, or nil if there is none.
func (in *input) readBody(req *http.Request, r *route) ([]byte, *problem) {
	if !in.body || req.Body == nil || req.Body == http.NoBody {
		return nil, nil
	}
	raw, p := decoded(req, r.gateway.bodyLimit)
	if p != nil || len(raw) == 0 {
		return nil, p
	}
	kind, parameters, err := mime.ParseMediaType(req.Header.Get("Content-Type"))
	if err != nil || !slices.Contains(r.types, kind) {
		return nil, mediaTypeProblem(r.types)
	}
	if charset := parameters["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") && !strings.EqualFold(charset, "utf8") {
		return nil, plainProblem(http.StatusUnsupportedMediaType, fmt.Sprintf("unsupported charset %q", strings.ToUpper(shown(charset))))
	}
	return bytes.TrimPrefix(raw, []byte("\ufeff")), nil // a byte order mark, which some programs on Windows write
}

// decoded returns a body without its content encoding. The limit holds for the body as it was
// sent and for its size after it is decompressed.
func decoded(req *http.Request, limit int64) ([]byte, *problem) {
	if req.ContentLength > limit { // before a client that expects 100 Continue is asked for the body
		return nil, tooLargeProblem()
	}
	sent := http.MaxBytesReader(nil, req.Body, limit)
	var body io.Reader = sent
	var err error
	switch encoding := strings.ToLower(req.Header.Get("Content-Encoding")); encoding {
	case "", "identity":
	case "gzip":
		body, err = gzip.NewReader(sent)
	case "deflate":
		body, err = zlib.NewReader(sent)
	default:
		return nil, plainProblem(http.StatusUnsupportedMediaType, fmt.Sprintf("unsupported content encoding %q", shown(encoding)))
	}
	var raw []byte
	if err == nil {
		raw, err = readWithin(body, limit)
	}
	if err == nil {
		// What follows compressed data must arrive in time, too: net/http would wait for it.
		_, err = io.Copy(io.Discard, sent)
	}
	if err != nil {
		return nil, unreadable(err)
	}
	return raw, nil
}

// readWithin reads a body of at most limit bytes.
func readWithin(body io.Reader, limit int64) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err == nil && int64(len(raw)) > limit {
		err = &http.MaxBytesError{Limit: limit}
	}
	return raw, err
}

// unreadable returns the problem of a body that cannot be read.
func unreadable(err error) *problem {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return tooLargeProblem()
	case errors.Is(err, io.EOF): // an empty body, whatever its encoding
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return lateBodyProblem().because(err)
	}
	return newProblem(http.StatusBadRequest, "The body could not be read").because(err)
}
