package plain

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

// item has seven fields and 170 bytes of JSON, as the payload of the measurements in
// docs/bench.md.
type item struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Price       float64  `json:"price"`
	Quantity    int      `json:"quantity"`
	Active      bool     `json:"active"`
	Tags        []string `json:"tags"`
}

func someItem(i int) item {
	return item{
		ID: fmt.Sprintf("item-%04d", i), Name: "Wireless keyboard", Price: float64(4995+100*i) / 100, Quantity: 17 + i, Active: true,
		Description: "A keyboard for two hands", Tags: []string{"office", "wireless", "sale"},
	}
}

func someItems() []item {
	list := make([]item, 110)
	for i := range list {
		list[i] = someItem(i)
	}
	return list
}

type dated struct {
	ID      string            `json:"id"`
	At      time.Time         `json:"at"`
	Meta    map[string]string `json:"meta"`
	Any     any               `json:"any"`
	Counts  map[string]int    `json:"counts"`
	Payload json.RawMessage   `json:"payload"`
}

func someDated() dated {
	return dated{
		ID: "x", At: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC),
		Meta: map[string]string{"b": "2", "a": "1"}, Any: []any{"x", 1.5, true, nil}, Counts: map[string]int{"one": 1, "two": 2},
		Payload: json.RawMessage(`{"a":[1,2,3]}`),
	}
}

func benchAppend(b *testing.B, v any) {
	b.Helper()
	text, err := library{}.Append(nil, v)
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 0, 2*len(text))
	run := func(name string, encode func()) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				encode()
			}
		})
	}
	run("plain", func() {
		if _, ok := Append(buf, v, library{}); !ok {
			b.Fatal("not plain")
		}
	})
	run("encoding-json", func() { _, _ = json.Marshal(v) })
	run("library", func() { _, _ = library{}.Append(buf, v) })
}

func benchUnmarshal[T any](b *testing.B, v T) {
	b.Helper()
	text, err := library{}.Append(nil, v)
	if err != nil {
		b.Fatal(err)
	}
	run := func(name string, decode func(*T)) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				var v T
				decode(&v)
			}
		})
	}
	run("plain", func(v *T) {
		if !Unmarshal(text, v, library{}) {
			b.Fatal("not plain")
		}
	})
	run("encoding-json", func(v *T) { _ = json.Unmarshal(text, v) })
	run("library", func(v *T) { _ = library{}.Unmarshal(text, v) })
}

func BenchmarkAppend(b *testing.B) {
	b.Run("item", func(b *testing.B) { benchAppend(b, someItem(1)) })
	b.Run("110items", func(b *testing.B) { benchAppend(b, someItems()) })
	b.Run("dated", func(b *testing.B) { benchAppend(b, someDated()) })
}

func BenchmarkUnmarshal(b *testing.B) {
	b.Run("item", func(b *testing.B) { benchUnmarshal(b, someItem(1)) })
	b.Run("110items", func(b *testing.B) { benchUnmarshal(b, someItems()) })
	b.Run("dated", func(b *testing.B) { benchUnmarshal(b, someDated()) })
}
