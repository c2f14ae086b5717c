// Package openapi completes a gateway's OpenAPI document: it publishes what huma has collected,
// and composes examples for its schemas.
package openapi
