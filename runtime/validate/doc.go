// Package validate checks the JSON of a message against the Go type it is for,
// before it is decoded, and says everything that is wrong with it at once, in
// the words NestJS teams know: "name must be a string", "property foo should
// not exist".
//
// The rules stand in the type's struct tags, the ones [micro.Schema] and the
// OpenAPI document are made from too:
//
//	type NewItem struct {
//		Name  string   `json:"name" minLength:"1" maxLength:"80"`
//		Price float64  `json:"price" minimum:"0"`
//		Kind  string   `json:"kind,omitempty" enum:"book,toy" default:"toy"`
//		Tags  []string `json:"tags,omitempty" maxItems:"10"`
//		Mail  string   `json:"mail,omitempty" format:"email"`
//	}
//
// A member is required unless its json tag says omitempty or omitzero, or its
// tag required says false. Optional members, and pointers, may be null. Known
// formats are email, uuid, uri, date-time, date, ipv4, ipv6 and hostname; others
// are only shown in schemas. Messages never repeat what was sent.
//
// The gateway does this for every route. A service that trusts nobody adds
// [Pipe] to its server, the counterpart of NestJS' ValidationPipe with
// whitelist and forbidNonWhitelisted.
package validate
