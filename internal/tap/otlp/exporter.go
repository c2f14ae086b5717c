package otlp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/msctl/msctl/internal/tap"
)

// limits are the bounds of an exporter.
type limits struct {
	queue, queueWeight int           // messages that wait, and their bytes
	batch, batchWeight int           // those of one request
	delay              time.Duration // how long a message waits for others
	attempt            time.Duration // how long a request may take
	retries            time.Duration // how long a batch is retried
	pause              time.Duration // before the first retry; it doubles up to a tenth of retries
	closing            time.Duration // how long Close waits
}

func standardLimits() limits {
	return limits{
		queue: 1 << 16, queueWeight: 32 << 20, batch: 2000, batchWeight: 2 << 20,
		delay: time.Second, attempt: 10 * time.Second, retries: 30 * time.Second, pause: time.Second / 2, closing: 5 * time.Second,
	}
}

// Stats counts spans.
type Stats struct {
	Sent int
	Lost int   // those that found the queue full, or could not be delivered
	Last error // why spans could not be delivered, the last time
}

// Exporter sends messages to a collector. Create it with [Endpoint.Start], and end it with Close. It is safe for
// concurrent use. A nil Exporter ignores everything.
type Exporter struct {
	at      *Endpoint
	version string
	bodies  bool
	limits  limits
	client  *http.Client
	failing chan error
	wake    chan struct{} // a batch is complete
	stop    chan struct{} // closed by Close
	done    chan struct{} // closed when the goroutine has ended
	once    sync.Once
	ctx     context.Context // of the requests
	cancel  context.CancelFunc

	mu     sync.Mutex // guards what follows
	queue  []tap.Message
	weight int
	closed bool
	failed bool // the last request
	stats  Stats
}

// Start starts an exporter, whose goroutine ends with Close. Version is that of msctl. With bodies, spans have the data
// and the replies of messages.
func (e *Endpoint) Start(version string, bodies bool) *Exporter {
	return e.start(version, bodies, standardLimits())
}

func (e *Endpoint) start(version string, bodies bool, limits limits) *Exporter {
	config := e.tls
	if config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	x := &Exporter{
		at: e, version: version, bodies: bodies, limits: limits,
		client: &http.Client{
			Transport: &http.Transport{
				Proxy: http.ProxyFromEnvironment, TLSClientConfig: config, ForceAttemptHTTP2: true,
				MaxResponseHeaderBytes: maxResponse, IdleConnTimeout: time.Minute,
			},
			// Headers with credentials are only for the address that the user has named.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		failing: make(chan error, 1), wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
	x.ctx, x.cancel = context.WithCancel(context.Background())
	go x.run()
	return x
}

// Failing receives the error of the first of several failures in a row, unless an earlier one was not received.
func (x *Exporter) Failing() <-chan error {
	if x == nil {
		return nil
	}
	return x.failing
}

// Add adds a message that has ended to the queue. It never blocks. What does not fit is counted as lost.
func (x *Exporter) Add(m tap.Message) {
	if x == nil || m.Span == "" || m.Open {
		return
	}
	m.Metadata, m.ID = nil, nil
	if !x.bodies {
		m.Data, m.Reply = nil, nil
	}
	weight := m.Weight()
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed || len(x.queue) >= x.limits.queue || x.weight+weight > x.limits.queueWeight {
		x.stats.Lost++
		return
	}
	x.queue = append(x.queue, m)
	if x.weight += weight; len(x.queue) >= x.limits.batch || x.weight >= x.limits.batchWeight {
		select {
		case x.wake <- struct{}{}:
		default:
		}
	}
}

// Close sends what is waiting, with one retry and for up to 5 s, ends the exporter, and returns what it has done.
func (x *Exporter) Close() Stats {
	if x == nil {
		return Stats{}
	}
	x.once.Do(func() {
		x.mu.Lock()
		x.closed = true
		x.mu.Unlock()
		close(x.stop)
	})
	limit := time.NewTimer(x.limits.closing)
	defer limit.Stop()
	select {
	case <-x.done:
	case <-limit.C:
		x.cancel()
		<-x.done
	}
	x.cancel()
	x.client.CloseIdleConnections()
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.stats
}

func (x *Exporter) run() {
	defer close(x.done)
	tick := time.NewTicker(x.limits.delay)
	defer tick.Stop()
	for stopped := false; ; {
		select {
		case <-x.wake:
		case <-tick.C:
		case <-x.stop:
			stopped = true
		}
		for batch := x.take(); len(batch) > 0; batch = x.take() {
			x.deliver(batch)
		}
		if stopped {
			return
		}
	}
}

// take removes the next batch from the queue.
func (x *Exporter) take() []tap.Message {
	x.mu.Lock()
	defer x.mu.Unlock()
	n, weight := 0, 0
	for n < len(x.queue) && n < x.limits.batch && weight < x.limits.batchWeight {
		weight += x.queue[n].Weight()
		n++
	}
	batch := append([]tap.Message(nil), x.queue[:n]...)
	clear(x.queue[:n]) // so that the messages can be collected
	x.weight -= weight
	if x.queue = x.queue[n:]; len(x.queue) == 0 {
		x.queue = nil
	}
	return batch
}

// deliver sends a batch, again if the failure may be temporary, and counts it.
func (x *Exporter) deliver(batch []tap.Message) {
	body, err := proto.Marshal(&collector.ExportTraceServiceRequest{ResourceSpans: export(batch, x.version)})
	if err != nil {
		x.count(0, len(batch), fmt.Errorf("encode spans: %w", err))
		return
	}
	stop := x.stop // nil after the last retry
	pause := x.limits.pause
	for until := time.Now().Add(x.limits.retries); ; {
		rejected, err := x.post(body)
		var failed *failure
		again := errors.As(err, &failed) && failed.temporary
		if err == nil || !again || stop == nil || x.ctx.Err() != nil || !time.Now().Add(max(pause, failed.after)).Before(until) {
			if err != nil {
				rejected = len(batch)
			}
			x.count(len(batch)-rejected, rejected, err)
			return
		}
		x.report(err)
		timer := time.NewTimer(max(pause, failed.after))
		select {
		case <-timer.C:
			pause = min(2*pause, x.limits.retries/10)
		case <-stop:
			stop = nil
		case <-x.ctx.Done():
		}
		timer.Stop()
	}
}

// report passes on the error of a failure, unless it is known that the collector fails.
func (x *Exporter) report(err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.failed {
		select {
		case x.failing <- err:
		default:
		}
	}
	x.failed, x.stats.Last = true, err
}

// count counts the spans of a batch. After a success, the next failure is reported again.
func (x *Exporter) count(sent, lost int, err error) {
	if err == nil && lost > 0 {
		err = errors.New("the collector rejected spans")
	}
	if err != nil {
		x.report(err)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.failed = err != nil
	x.stats.Sent += sent
	x.stats.Lost += lost
}
