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
