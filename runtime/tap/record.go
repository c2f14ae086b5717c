package tap

import "encoding/json"

// Key is the name of the metadata member that carries the span of a message to its receiver: the
// text of a [Ref].
const Key = "msctl-tap"

// Version is the version of the protocol, the value of [Hello.Tap].
const Version = 1

// Hello is the first line of a connection.
type Hello struct {
	Tap     int    `json:"tap"` // Version
	Secret  string `json:"secret"`
	Service string `json:"service"`           // the name in msctl.yaml
	Runtime string `json:"runtime,omitempty"` // such as "go" or "node 22.11.0, @nestjs/microservices 11.2.6"
	PID     int    `json:"pid"`
}

// Drops is a line that counts the records that were dropped since the last such line.
type Drops struct {
	Dropped int `json:"dropped"`
}

// Kind is the kind of a span.
type Kind string

// The kinds of spans.
const (
	Send   Kind = "send"   // one attempt of a request, as its sender sees it
	Emit   Kind = "emit"   // one event, as its sender sees it
	Handle Kind = "handle" // one message, as its receiver sees it
	HTTP   Kind = "http"   // one HTTP request that a program handles: the root of a tree
)

// Outcome is how a message ended.
type Outcome string

// The outcomes of messages.
const (
	OK          Outcome = "ok"
	Failed      Outcome = "error"       // an error of the peer or, for Handle, of the handler
	TimedOut    Outcome = "timeout"     // the sender stopped waiting
	Abandoned   Outcome = "abandoned"   // the sender canceled the request, or the peer was gone when the reply was ready
	Unreachable Outcome = "unreachable" // no connection, or it was lost
	Shed        Outcome = "shed"        // rejected for lack of room
	NoHandler   Outcome = "no handler"
	Expired     Outcome = "expired" // the deadline had passed before the handler was started

	// Of messages that were observed between their sender and their receiver, rather than reported by one of them.
	NoReply   Outcome = "no reply"   // none was seen, or no end of it
	NoRequest Outcome = "no request" // a reply whose request was not seen
)

// Record describes one span, when it has ended or, with Open, before that. A span that is
// reported as open is reported again at its end.
type Record struct {
	Kind   Kind   `json:"kind"`
	Trace  string `json:"trace"`            // 32 hexadecimal digits, as in W3C Trace Context
	Span   string `json:"span"`             // 16 hexadecimal digits, unique
	Parent string `json:"parent,omitempty"` // the span that caused this one; "" for a root
	Open   bool   `json:"open,omitempty"`

	Pattern     string          `json:"pattern"`               // JSON text as it travels, such as {"cmd":"findAllItems"}; for HTTP, such as GET /items/{id}
	Path        string          `json:"path,omitempty"`        // of an HTTP request, without its query
	Event       bool            `json:"event,omitempty"`       // for Handle: the message is an event
	Call        string          `json:"call,omitempty"`        // what all attempts of one request share
	Attempt     int             `json:"attempt,omitempty"`     // from 1; 0 means 1
	Transport   string          `json:"transport,omitempty"`   // tcp, rmq, redis, or nats
	Peer        string          `json:"peer,omitempty"`        // the address of the other side, if known
	ID          json.RawMessage `json:"id,omitempty"`          // of the packet, where the program knows it
	Correlation string          `json:"correlation,omitempty"` // see micro.MetaCorrelationID

	Start   int64   `json:"start"` // nanoseconds since 1970
	Took    int64   `json:"took"`  // nanoseconds; with Open, until now
	Outcome Outcome `json:"outcome,omitempty"`
	Status  int     `json:"status,omitempty"` // of an HTTP response; 0 if it was aborted
	Error   *Error  `json:"error,omitempty"`

	Values int             `json:"values,omitempty"` // of the reply; more than 1 for a stream
	In     int             `json:"in,omitempty"`     // bytes of the data
	Out    int             `json:"out,omitempty"`    // bytes of the values of the reply
	Data   json.RawMessage `json:"data,omitempty"`
	Reply  json.RawMessage `json:"reply,omitempty"` // the last value
	// Cut reports that data or reply was longer than the limit. What is longer is a JSON string that
	// contains its beginning.
	Cut      bool              `json:"cut,omitempty"`
	Metadata map[string]string `json:"metadata,omitempty"`
}

// Error is the error of a span.
type Error struct {
	Message string `json:"message"`
	Status  int    `json:"status,omitempty"` // that its payload has, if any
	Stack   string `json:"stack,omitempty"`
	// Own reports that the error arose in this program, rather than in one that it called.
	Own bool `json:"own,omitempty"`
}
