package bench

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"

	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/load"
	"github.com/msctl/msctl/internal/load/format"
	"github.com/msctl/msctl/internal/load/payload"
	"github.com/msctl/msctl/internal/replay"
	"github.com/msctl/msctl/internal/shorthand"
	"github.com/msctl/msctl/internal/term/visible"
	"github.com/msctl/msctl/runtime/micro"
)

// Recording is --from: the recording whose messages are sent, with the patterns in its proportions.
type Recording struct {
	File    string
	Service string // --service

	selected string // the service whose messages are sent; "" for those of all
}

// setRecorded sets the messages to those of --from: one for each pattern, whose weight is the number of its messages.
// After as many requests as the recording has messages, each has been sent once.
func (s *Spec) setRecorded(args []string) error {
	from := &s.Recording
	switch {
	case len(args) > 0:
		return s.Usagef([]string{"from"}, "--from cannot be combined with PATTERN or DATA: remove %q", args[0])
	case s.Trials.Demo:
		return s.Usagef([]string{"from"}, "--from cannot be combined with --demo")
	case s.content.DataFile != "":
		return s.Usagef([]string{"data-file", "from"}, "--data-file cannot be combined with --from: the data is that of the recording")
	case s.content.DataOrder != "":
		return s.Usagef([]string{"data-order", "from"}, "--data-order cannot be combined with --from: each message is sent once per round")
	case IsHTTP(s.Target.To):
		return s.Usagef([]string{"from"}, "--from requires a target that handles messages, and %s is an HTTP target", s.Target.To)
	}
	mix, err := s.loadMix()
	if err != nil {
		return err
	}
	if err := s.checkMix(mix); err != nil {
		return err
	}
	from.selected = mix.Service
	names := map[string]bool{}
	for i, k := range mix.Kinds {
		s.Messages = append(s.Messages, s.recorded(k, uint64(i), names))
	}
	s.noteMix(mix)
	return nil
}

// loadMix reads the file of --from. All its errors are usage errors.
func (s *Spec) loadMix() (*replay.Mix, error) {
	from := s.Recording
	file, err := open(s.files, from.File)
	if err != nil {
		return nil, exit.WithHint(s.Usagef([]string{"from"}, "--from: %w", err), "record one with `msctl tap --record %s`", shorthand.Word(from.File))
	}
	defer file.Close()
	mix, err := replay.LoadMix(file, from.Service, s.Target.To)
	if err != nil {
		return nil, s.Usagef([]string{"from"}, "--from: %s, %w", from.File, err)
	}
	return mix, nil
}

// checkMix returns an error if nothing of a recording can be sent, or there is too much.
func (s *Spec) checkMix(mix *replay.Mix) error {
	n := mix.Count()
	switch {
	case n > maxRows:
		return s.Usagef([]string{"from"}, "--from: %s has more than %d messages", s.Recording.File, maxRows)
	case len(mix.Kinds) > maxMessages:
		err := s.Usagef([]string{"from"}, "--from: %s has messages with %d patterns: at most %d are possible", s.Recording.File, len(mix.Kinds), maxMessages)
		return exit.WithHint(err, "--service NAME selects those that a service handled")
	case n > 0:
		return nil
	}
	left := leftOut(mix)
	switch {
	case len(left) > 0:
		return exit.WithHint(s.Usagef([]string{"from"}, "--from: %s contains no message that can be sent", s.Recording.File), "%s", strings.Join(left, "; "))
	case mix.Service == "":
		return s.Usagef([]string{"from"}, "--from: %s contains no messages between services", s.Recording.File)
	}
	err := s.Usagef([]string{"service", "from"}, "--from: %s does not contain a message that %s handled", s.Recording.File, mix.Service)
	if len(mix.Services) > 0 {
		err = exit.WithHint(err, "it has messages of %s", visible.Line(strings.Join(mix.Services, ", ")))
	}
	return err
}

// recorded returns the message for the requests or the events with one pattern. Their order depends on the seed, so that
// a run that is shorter than the recording does not send only its beginning.
func (s *Spec) recorded(k *replay.Kind, number uint64, names map[string]bool) *Message {
	m := s.content
	m.route, m.event, m.Weight = k.Pattern, k.Event, len(k.Messages)
	m.Pattern = shorthand.ShortPattern(json.RawMessage(k.Pattern.JSON()))
	m.sent = slices.Clone(k.Messages)
	random := rand.New(rand.NewPCG(s.Load.Seed, number))
	random.Shuffle(len(m.sent), func(i, j int) { m.sent[i], m.sent[j] = m.sent[j], m.sent[i] })
	m.Name = visible.Line(k.Pattern.String())
	if names[m.Name] { // there are requests and events with the pattern
		m.Name += map[bool]string{true: " (event)", false: " (request)"}[k.Event]
	}
	names[m.Name] = true
	return &m
}

// readRecorded prepares the data and the metadata of a message of a recording.
func (m *Message) readRecorded(in shorthand.Reader, bare bool) (err error) {
	rows := make([]json.RawMessage, len(m.sent))
	for i, one := range m.sent {
		rows[i] = one.Data
		if one.Data != nil {
			in.Secrets.LearnJSON(one.Data)
		}
	}
	m.digest = digestOf(fmt.Sprint(m.event), rows, "")
	if m.payload, err = payload.New(nil, payload.Text{}, payload.Options{Rows: rows}); err != nil {
		return err
	}
	if m.pairs, err = m.metadata(in); err != nil || bare {
		return err
	}
	var keys []string
	for _, one := range m.sent {
		for key := range one.Metadata {
			given := slices.ContainsFunc(m.pairs, func(p load.Pair) bool { return p.Key == key })
			if !given && !slices.Contains(keys, key) {
				keys = append(keys, key)
			}
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		m.pairs = append(m.pairs, m.recordedPair(key))
	}
	return nil
}

// recordedPair returns metadata that each message has as it was recorded.
func (m *Message) recordedPair(key string) load.Pair {
	of := func(seq uint64) (string, bool) {
		value, ok := m.sent[seq%uint64(len(m.sent))].Metadata[key]
		return value, ok
	}
	return load.Pair{
		Key:   key,
		Value: func(seq uint64, _ *micro.Request) string { value, _ := of(seq); return value },
		Has:   func(seq uint64) bool { _, ok := of(seq); return ok },
	}
}

// noteMix notes what of a recording is not sent.
func (s *Spec) noteMix(mix *replay.Mix) {
	s.Notes = append(s.Notes, leftOut(mix)...)
	if len(mix.Hidden) > 0 {
		s.Notes = append(s.Notes, fmt.Sprintf("the messages are sent without the metadata %s: its values are secrets, which are not recorded", visible.Line(strings.Join(mix.Hidden, ", "))))
	}
	if mix.Service == "" && len(mix.Services) > 1 && s.Target.To != "" {
		s.Notes = append(s.Notes, fmt.Sprintf("the messages of %d services (%s) are sent to one target: --service NAME selects those of one",
			len(mix.Services), visible.Line(strings.Join(mix.Services, ", "))))
	}
}

// leftOut states which messages are not part of the load, and why.
func leftOut(mix *replay.Mix) (notes []string) {
	for _, left := range []struct {
		n   int
		why string
	}{
		{mix.Secret, "data with secrets, which are not recorded"},
		{mix.Cut, "data that is longer than what is recorded"},
		{mix.Unfinished, "no end in the recording, and therefore no data"},
		{mix.Retries, "retries, which depend on the policy of the bench"},
	} {
		if left.n > 0 {
			verb := "are"
			if left.n == 1 {
				verb = "is"
			}
			notes = append(notes, fmt.Sprintf("%s %s left out: %s", format.Counted(left.n, "message"), verb, left.why))
		}
	}
	return notes
}

// recordedTitle names what is sent: a few patterns or their number, and the file.
func (s *Spec) recordedTitle() string {
	what := strings.Join(s.names(), ", ")
	if len(s.Messages) > 3 {
		what = format.Counted(len(s.Messages), "pattern")
	}
	if of := s.Recording.selected; of != "" {
		what += " of " + visible.Line(of)
	}
	return what + ", as recorded in " + filepath.Base(s.Recording.File)
}
