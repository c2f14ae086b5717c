// Package bounded limits what strangers can make a program hold or write: the connections of an HTTP
// server, and texts in the log.
package bounded

import "strings"

// maxText is how much of a text is in the log, in bytes.
const maxText = 4 << 10

// Text returns a text for the log, or the beginning of one that is too long. The text of an error may
// repeat what a peer has sent.
func Text(text string) string {
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText], "") + "…"
}
