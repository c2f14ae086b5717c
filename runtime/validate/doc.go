// Package validate checks the JSON of a message against a Go type before it is decoded
// into it. It reports all problems at once, in the words of NestJS's class-validator:
// "name must be a string", "property foo should not exist".
//
// The rules are the struct tags of the type, from which [micro.Schema] and the OpenAPI
// document are derived, too:
//
//	type CreateItemInput struct {
//		Name  string   `json:"name" minLength:"1" maxLength:"80"`
//		Price float64  `json:"price" minimum:"0"`
//		Kind  string   `json:"kind,omitempty" enum:"book,toy" default:"toy"`
//		Tags  []string `json:"tags,omitempty" maxItems:"10"`
//		Email string   `json:"email,omitempty" format:"email"`
//	}
//
// Other tags are maximum, multipleOf, pattern, maxLength, and minItems. A type with its own
// JSON encoding is checked by them if it has a method JSONType; see [micro.JSONTyper].
//
// A member is required unless its json tag has omitempty or omitzero, or its tag
// required is false. Optional members and pointers may be null. The supported formats
// are email, uuid, uri, date-time, date, ipv4, ipv6, and hostname; others appear only in
// schemas. Messages never repeat the input.
//
// The gateway validates every route. A service that does not trust its callers adds
// [Pipe] to its server, the counterpart of NestJS's ValidationPipe with whitelist and
// forbidNonWhitelisted.
package validate
