package gateway

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"time"

	"github.com/msctl/msctl/runtime/gateway/memory"
)

// once answers requests with the same key by a single message: the first request sends it, and
// its response is kept in the gateway's store for the others.
//
// A request adds a record without a response, which expires after the time that the request may
// take. Then the response replaces the record if it is final; otherwise, the record is deleted,
// and the next request is the first one again. If the gateway dies meanwhile, the record expires.
type once struct {
	gateway *Gateway
	lease   time.Duration // the time that a request may take
	limit   int           // of the body of a kept response, in bytes
}

// record is what the store has about a request.
type record struct {
	Hash     string // of the request
	Status   int    // 0 while the request is being handled
	Header   http.Header
	Body     []byte
	TooLarge bool // the body was larger than the limit, and is missing
}

const (
	// storeTimeout limits each access to the store, and storePause is between two attempts.
	storeTimeout = 2 * time.Second
	storePause   = 100 * time.Millisecond
	// leaseSlack is the time of a lease after the timeout of the route, for the store.
	leaseSlack = 5 * time.Second
)

// task is a request and how it is handled.
type task struct {
	key, hash string // equal requests have both in common; the same key with another hash is not equal
	// handle writes the response. It runs to its end even if the client disconnects, because
	// the client may then repeat its request.
	handle func(context.Context, http.ResponseWriter)
	// keep returns how long the response is kept; 0 for not.
	keep func(status int) time.Duration
}

// do returns the record of an earlier request with the key of t. If there is none, it handles t,
// and sends the response when it is in the store, so that a client that repeats its request finds
// it there.
func (o *once) do(ctx context.Context, w http.ResponseWriter, t task) (*record, *problem) {
	began := time.Now()
	earlier, problem := o.begin(ctx, t)
	if earlier != nil || problem != nil {
		return earlier, problem
	}
	res := &recorder{ResponseWriter: w, header: http.Header{}}
	o.run(context.WithoutCancel(ctx), began, res, t)
	res.record().send(w)
	return nil, nil
}

// begin adds the record of a request. If there is one already, it returns it.
func (o *once) begin(ctx context.Context, t task) (*record, *problem) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	text, added, err := o.gateway.store.Add(ctx, t.key, (&record{Hash: t.hash}).text(), o.lease)
	if err != nil {
		return nil, newProblem(http.StatusServiceUnavailable, "The request cannot be compared with earlier ones at the moment").because(err)
	}
	if added {
		return nil, nil
	}
	earlier := &record{}
	if err := json.Unmarshal(text, earlier); err != nil {
		return nil, internalProblem(err)
	}
	return earlier, nil
}

// run handles a request whose record was added after began.
func (o *once) run(ctx context.Context, began time.Time, res *recorder, t task) {
	var ttl time.Duration // stays 0 if handle panics
	defer func() {
		// After the lease, the record may be that of another request.
		if time.Since(began)+storeTimeout < o.lease {
			o.end(ctx, t, res, ttl)
		}
	}()
	t.handle(ctx, res)
	ttl = t.keep(res.status)
}

// end replaces or deletes the record of a request. An error does not change the response: the
// message has been sent.
func (o *once) end(ctx context.Context, t task, res *recorder, ttl time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	end := func() error { return o.gateway.store.Delete(ctx, t.key) }
	if ttl > 0 {
		kept := res.record()
		kept.Hash = t.hash
		if kept.TooLarge = len(kept.Body) > o.limit; kept.TooLarge {
			kept.Body = nil
		}
		text := kept.text()
		end = func() error { return o.gateway.store.Set(ctx, t.key, text, ttl) }
	}
	err := end()
	for err != nil && !errors.Is(err, memory.ErrTooLarge) && ctx.Err() == nil { // a store may be back soon
		select {
		case <-ctx.Done():
		case <-time.After(storePause):
			err = end()
		}
	}
	if err != nil {
		o.gateway.log.Warn("a repeated request may not be recognized", "correlation_id", exchangeOf(ctx).correlationID, "error", err)
	}
}

func (r *record) text() []byte { return jsonOf(r) }

// send writes the response of a record.
func (r *record) send(w http.ResponseWriter) {
	maps.Copy(w.Header(), r.Header)
	w.WriteHeader(r.Status)
	_, _ = w.Write(r.Body) // fails if the client has gone
}

// recorder holds a response back. Its headers are only those of the response itself, without
// those that the gateway has set for the request, such as its correlation ID.
type recorder struct {
	http.ResponseWriter // for its connection

	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) Write(b []byte) (int, error) { return r.body.Write(b) }
func (r *recorder) WriteHeader(status int)      { r.status = status }

func (r *recorder) record() *record {
	return &record{Status: cmp.Or(r.status, http.StatusOK), Header: r.header, Body: r.body.Bytes()}
}

// hashOf returns a hash of texts in which each keeps its own boundaries.
func hashOf(texts ...string) string {
	hash := sha256.New()
	for _, text := range texts {
		_ = binary.Write(hash, binary.BigEndian, uint64(len(text))) // a hash never fails
		hash.Write([]byte(text))
	}
	return hex.EncodeToString(hash.Sum(nil))
}
