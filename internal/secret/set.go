package secret

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
)

// A value is found again only if it is long enough to be no coincidence, and only so
// many are kept, for a file of data with a password in each line.
const (
	minValue  = 6 // bytes
	maxValues = 100_000
)

// Set is the credentials that were found in the input of a command. The zero Set is
// empty. A nil Set keeps nothing. A Set is safe for concurrent use.
type Set struct {
	mu      sync.RWMutex // guards the fields below
	values  map[string]struct{}
	lengths []int             // of the values, the longest first
	from    map[string]string // the environment variable of a value that was looked up
}

// Add adds a credential.
func (s *Set) Add(value string) {
	if s == nil || len(value) < minValue {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.values == nil {
		s.values = map[string]struct{}{}
	}
	if len(s.values) >= maxValues {
		return
	}
	s.values[value] = struct{}{}
	if i, found := slices.BinarySearchFunc(s.lengths, len(value), func(a, b int) int { return b - a }); !found {
		s.lengths = slices.Insert(s.lengths, i, len(value))
	}
}

// add adds the credentials at the spans of a text, as they are in it and decoded.
func (s *Set) add(text string, spans []span) {
	for _, found := range spans {
		value := text[found.from:found.to]
		s.Add(value)
		if plain, err := url.PathUnescape(value); err == nil {
			s.Add(plain)
		}
		if plain, err := url.QueryUnescape(value); err == nil {
			s.Add(plain)
		}
		var plain string
		if json.Unmarshal([]byte(`"`+value+`"`), &plain) == nil {
			s.Add(plain)
		}
	}
}

// Learn adds the credentials of the arguments of a command.
func (s *Set) Learn(args ...string) {
	for _, arg := range args {
		s.add(arg, argument(arg))
	}
	for i := range len(args) - 1 { // --password hunter2
		if name, isFlag := strings.CutPrefix(args[i], "--"); isFlag && Named(name) && !strings.HasPrefix(args[i+1], "--") {
			s.Add(args[i+1])
		}
	}
}

// LearnJSON adds the credentials of a JSON text.
func (s *Set) LearnJSON(text []byte) {
	if s != nil {
		s.add(string(text), inJSON(string(text)))
	}
}

// LearnText adds the credentials of a file of the user, such as YAML.
func (s *Set) LearnText(text string) {
	spans := find(text, true)
	s.add(text, spans)
	for _, found := range spans { // in {password: x, name: y}, the value ends before the line
		value := text[found.from:found.to]
		s.Add(strings.TrimSpace(value[:strings.IndexAny(value+",", ",}]#")]))
	}
}

// LearnEnvironment adds the credentials of an environment: NAME=VALUE, as in os.Environ.
// A plain word, such as the password postgres of a database for development, is not kept,
// because it would be found in other places.
func (s *Set) LearnEnvironment(environ []string) {
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		switch {
		case name == "PWD" || name == "OLDPWD": // the working directory of a shell
		case strings.Contains(value, "://"):
			s.add(value, inURL(value, 0))
		case Named(name) && !isWord(value):
			s.Add(value)
		}
	}
}

// LearnGenerated is LearnEnvironment for the environment of a file in which developers keep
// their credentials: it also adds values that look generated, whatever their names are.
func (s *Set) LearnGenerated(environ []string) {
	s.LearnEnvironment(environ)
	for _, pair := range environ {
		if _, value, _ := strings.Cut(pair, "="); looksGenerated(value) {
			s.Add(value)
		}
	}
}

// looksGenerated reports whether a value consists of many letters and digits, as keys and
// tokens do, rather than of an address, a path, or a text.
func looksGenerated(value string) bool {
	const least = 16
	letter, digit := false, false
	for _, r := range value {
		switch {
		case r|0x20 >= 'a' && r|0x20 <= 'z':
			letter = true
		case r >= '0' && r <= '9':
			digit = true
		case !strings.ContainsRune("+/=_-", r):
			return false
		}
	}
	return len(value) >= least && letter && digit && !strings.HasPrefix(value, "/")
}

// Mask masks the credentials of the set in a text, and those that [Text] finds.
func (s *Set) Mask(text string) string { return Text(s.Values(text)) }

// Values masks the credentials of the set in a text.
func (s *Set) Values(text string) string {
	if s == nil {
		return text
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if len(s.lengths) == 0 {
		return text
	}
	var spans []span
	for i := 0; i < len(text); i++ {
		for _, n := range s.lengths {
			if i+n > len(text) {
				continue
			}
			if _, found := s.values[text[i:i+n]]; found {
				spans = append(spans, span{from: i, to: i + n})
				i += n - 1
				break
			}
		}
	}
	return replace(text, spans, mask)
}

// IsReference reports whether a value refers to an environment variable: $NAME or
// ${NAME}, in capital letters.
func IsReference(value string) bool {
	_, size := reference(value)
	return size > 0 && size == len(value)
}

// reference returns the name and the length of the reference that text starts with.
func reference(text string) (name string, size int) {
	if !strings.HasPrefix(text, "$") {
		return "", 0
	}
	inner, braces := strings.CutPrefix(text[1:], "{")
	end := 0
	for end < len(inner) && (inner[end] == '_' || inner[end] >= 'A' && inner[end] <= 'Z' || end > 0 && inner[end] >= '0' && inner[end] <= '9') {
		end++
	}
	switch {
	case end == 0:
		return "", 0
	case !braces:
		return inner[:end], end + 1
	case strings.HasPrefix(inner[end:], "}"):
		return inner[:end], end + 3
	}
	return "", 0
}

// References returns the names of the variables that a text refers to, sorted.
func References(text string) (names []string) {
	for i := range text {
		name, size := reference(text[i:])
		if size > 0 && (i == 0 || text[i-1] != '\\') && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// UnsetError reports a reference to an environment variable that is not set.
type UnsetError struct{ Name string }

// Error names the variable.
func (e *UnsetError) Error() string {
	return fmt.Sprintf("the environment variable %s is not set", e.Name)
}

// lookUp returns the value of a variable and adds it to the set.
func (s *Set) lookUp(name string) (string, error) {
	value, ok := os.LookupEnv(name)
	if !ok {
		return "", &UnsetError{name}
	}
	s.Add(value)
	if s != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.from == nil {
			s.from = map[string]string{}
		}
		s.from[value] = name
	}
	return value, nil
}

// variable returns the environment variable that a value was looked up in; "" for none.
func (s *Set) variable(value string) string {
	if s == nil {
		return ""
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.from[value]
}

// Expand replaces every reference in a text by the value of the environment variable,
// as encode returns it; a nil encode changes nothing. \$NAME is the text $NAME. The error is an *UnsetError.
func (s *Set) Expand(text string, encode func(string) string) (string, error) {
	var b strings.Builder
	for text != "" {
		at := strings.IndexByte(text, '$')
		if at < 0 {
			break
		}
		name, size := reference(text[at:])
		switch {
		case size == 0:
			b.WriteString(text[:at+1])
			text = text[at+1:]
			continue
		case at > 0 && text[at-1] == '\\':
			b.WriteString(text[:at-1] + text[at:at+size])
			text = text[at+size:]
			continue
		}
		value, err := s.lookUp(name)
		if err != nil {
			return "", err
		}
		if encode != nil {
			value = encode(value)
		}
		b.WriteString(text[:at] + value)
		text = text[at+size:]
	}
	return b.String() + text, nil
}

// Value returns the value of a text that is a reference, and \$NAME as $NAME. Other text
// is returned as it is.
func (s *Set) Value(text string) (string, error) {
	if IsReference(strings.TrimPrefix(text, `\`)) {
		return s.Expand(text, nil)
	}
	return text, nil
}

// ExpandJSON replaces the references in JSON that the user has typed: a string that is
// one, or one in place of a value. The text need not be valid.
func (s *Set) ExpandJSON(text string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(text); {
		part := text[i : i+1]
		switch name, size := reference(text[i:]); {
		case size > 0:
			value, err := s.lookUp(name)
			if err != nil {
				return "", err
			}
			b.WriteString(value)
			i += size
			continue
		case text[i] == '"':
			end := min(i+1+quoted(text[i+1:], `"`)+1, len(text))
			part = text[i:end]
			value, err := s.expandString(part)
			if err != nil {
				return "", err
			}
			b.WriteString(value)
			i = end
			continue
		}
		b.WriteString(part)
		i++
	}
	return b.String(), nil
}

// expandString expands a string of JSON that is a reference.
func (s *Set) expandString(literal string) (string, error) {
	var plain string
	if !strings.Contains(literal, "$") || json.Unmarshal([]byte(literal), &plain) != nil {
		return literal, nil
	}
	value, err := s.Value(plain)
	if err != nil || value == plain {
		return literal, err
	}
	text, err := json.Marshal(value)
	return string(text), err
}
