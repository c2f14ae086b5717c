package micronats

import (
	"fmt"
	"strings"
)

// maxSubject is the maximum length of a subject. A broker closes the connection after a line
// of more than 4096 bytes, and the line also contains an inbox and two numbers.
const maxSubject = 3584

// checkSubject returns the reason that a pattern's route is not a valid NATS subject.
// NestJS 12 rejects spaces, too; brokers reject an empty token.
func checkSubject(subject string) error {
	var problem string
	switch {
	case subject == "":
		problem = "it is empty"
	case strings.ContainsAny(subject, " \t\r\n\x00"):
		problem = "it contains white space"
	case subject[0] == '.' || subject[len(subject)-1] == '.' || strings.Contains(subject, ".."):
		problem = "it has an empty token: a dot at an end, or two in a row"
	case len(subject) > maxSubject:
		problem = fmt.Sprintf("it is longer than %d bytes", maxSubject)
	default:
		return nil
	}
	return fmt.Errorf("the pattern cannot be a NATS subject: %s: %.80q", problem, subject)
}
