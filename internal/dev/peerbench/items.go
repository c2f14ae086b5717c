package main

import (
	"encoding/json"
	"fmt"
)

// item is the data of the messages: 170 bytes of JSON. testdata/nest/lib/items.mjs creates the same items.
type item struct {
	ID          string  `json:"id"`
	Name        string  `json:"name"`
	Description string  `json:"description"`
	Price       float64 `json:"price"`
	Quantity    int     `json:"quantity"`
	CreatedAt   string  `json:"createdAt"`
}

// document is data of any size.
type document struct {
	Text string `json:"text"`
}

// listLength is the number of items in the large reply, about 20 KB.
const listLength = 120

func items(n int) []item {
	list := make([]item, n)
	for i := range list {
		list[i] = item{
			ID:          fmt.Sprintf("item-%04d", i),
			Name:        "Stainless bottle",
			Description: "Keeps a drink cold for more than a full day",
			Price:       19.95,
			Quantity:    7,
			CreatedAt:   "2026-01-31T10:00:00.000Z",
		}
	}
	return list
}

// order is the body of POST /orders, with a place for an ID. A gateway and its service return it as it is.
func order() []byte {
	return fmt.Appendf(nil, `{"name":"%s","price":19.95,"tags":["kitchen","steel","insulated"]}`, zeros())
}

// mustJSON encodes a value of a type of this program, which cannot fail.
func mustJSON(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("encode %T: %v", v, err))
	}
	return text
}
