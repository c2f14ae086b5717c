package asyncapi

import "encoding/json"

// document and the types below are those of AsyncAPI, in the order in which they are written.
type document struct {
	AsyncAPI           string             `json:"asyncapi"`
	Info               info               `json:"info"`
	DefaultContentType string             `json:"defaultContentType"`
	Servers            ordered[server]    `json:"servers,omitempty"`
	Channels           ordered[channel]   `json:"channels"`
	Operations         ordered[operation] `json:"operations"`
	Components         *components        `json:"components,omitempty"`
}

type info struct {
	Title   string `json:"title"`
	Version string `json:"version"`
}

type server struct {
	Host        string `json:"host"`
	Pathname    string `json:"pathname,omitempty"`
	Protocol    string `json:"protocol"`
	Description string `json:"description,omitempty"`
}

type channel struct {
	Address  *string          `json:"address"` // null: unknown
	Title    string           `json:"title,omitempty"`
	Servers  []ref            `json:"servers,omitempty"`
	Messages ordered[message] `json:"messages"`
	Bindings *bindings        `json:"bindings,omitempty"`
	Pattern  json.RawMessage  `json:"x-nest-pattern,omitempty"`
}

type bindings struct {
	AMQP amqp `json:"amqp"`
}

type amqp struct {
	Is    string `json:"is"`
	Queue queue  `json:"queue"`
}

type queue struct {
	Name string `json:"name"`
}

type message struct {
	Name    string  `json:"name"`
	Title   string  `json:"title,omitempty"`
	Payload *schema `json:"payload,omitempty"`
}

type operation struct {
	Action      string `json:"action"`
	Channel     ref    `json:"channel"`
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
	Tags        []tag  `json:"tags,omitempty"`
	Messages    []ref  `json:"messages"`
	Reply       *reply `json:"reply,omitempty"`
	// Stream is set if there may be several replies.
	Stream    bool   `json:"x-nest-stream,omitempty"`
	Transport string `json:"x-nest-transport,omitempty"`
}

type tag struct {
	Name string `json:"name"`
}

type reply struct {
	Channel  ref   `json:"channel"`
	Messages []ref `json:"messages"`
}

type ref struct {
	Ref string `json:"$ref"`
}

type components struct {
	Schemas ordered[*schema] `json:"schemas"`
}

// ordered is a JSON object whose members keep their order.
type ordered[T any] []entry[T]

type entry[T any] struct {
	name  string
	value T
}

func (o ordered[T]) get(name string) (value T, ok bool) {
	for _, e := range o {
		if e.name == name {
			return e.value, true
		}
	}
	return value, false
}

func (o ordered[T]) has(name string) bool {
	_, ok := o.get(name)
	return ok
}

// MarshalJSON writes the members in their order.
func (o ordered[T]) MarshalJSON() ([]byte, error) {
	out := []byte{'{'}
	for i, e := range o {
		name, err := json.Marshal(e.name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(e.value)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(append(out, name...), ':'), value...)
	}
	return append(out, '}'), nil
}
