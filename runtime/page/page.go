// Package page has the inputs of lists that are returned in pages, to embed in the input of a
// message. It requires nothing but the standard library.
//
//	type FindItems struct {
//		page.Offset
//		Search string `json:"search,omitempty" query:"search"`
//	}
//
// gateway.WithPages adds the links to the other pages to the response.
package page

import (
	"encoding/base64"
	"errors"
	"unicode/utf8"
)

// Offset selects a page by its place in a list: at most Limit items (1 to 100, by default 20),
// beginning with the one at Offset. It suits short lists, because a database counts all
// items before the page, and items that are added meanwhile move the others.
type Offset struct {
	Limit  int `json:"limit,omitempty" query:"limit" minimum:"1" maximum:"100" default:"20" doc:"Maximum number of results"`
	Offset int `json:"offset,omitempty" query:"offset" minimum:"0" doc:"Number of results before the page"`
}

// Cursor selects a page by the end of the previous one: at most Limit items (1 to 100, by default
// 20) that follow those of the page that returned Cursor. Its text means something to the service
// alone, such as the key of the last item; it is empty for the first page.
type Cursor struct {
	Limit  int    `json:"limit,omitempty" query:"limit" minimum:"1" maximum:"100" default:"20" doc:"Maximum number of results"`
	Cursor string `json:"cursor,omitempty" query:"cursor" maxLength:"512" doc:"The end of the previous page"`
}

// After returns a cursor for the page that follows the item with a key, such as its ID. The
// text is opaque: callers pass it on as it is.
func After(key string) string { return base64.RawURLEncoding.EncodeToString([]byte(key)) }

// Key returns the key in a cursor of [After]; empty for an empty cursor, that of the first
// page. It returns an error, with a text for callers, for any other text.
func Key(cursor string) (string, error) {
	key, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || !utf8.Valid(key) || After(string(key)) != cursor { // the decoder ignores line breaks
		return "", errors.New("cursor must be the cursor of a page")
	}
	return string(key), nil
}
