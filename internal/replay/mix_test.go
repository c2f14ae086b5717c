package replay

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const played = `
{"kind":"http","span":"00","pattern":"POST /orders","start":1,"took":9,"service":"gateway"}
{"kind":"send","span":"01","parent":"00","pattern":"\"order\"","start":2,"took":9,"outcome":"ok","in":2,"data":{"n":1},"service":"gateway"}
{"kind":"handle","span":"02","parent":"01","pattern":"\"order\"","start":3,"took":7,"open":true,"service":"orders"}
{"kind":"send","span":"03","parent":"02","pattern":"\"stock\"","start":5,"took":3,"outcome":"timeout","call":"a","in":2,"data":"x","service":"orders"}
{"kind":"handle","span":"04","parent":"03","pattern":"\"stock\"","start":5,"took":3,"outcome":"ok","in":2,"data":"x","cut":true,"reply":"{\"a","service":"items"}
{"kind":"send","span":"05","parent":"02","pattern":"\"stock\"","start":6,"took":3,"outcome":"ok","call":"a","attempt":2,"in":2,"data":"x","service":"orders"}
{"kind":"handle","span":"06","parent":"05","pattern":"\"stock\"","start":6,"took":3,"outcome":"ok","in":2,"data":"x","service":"items"}
{"kind":"handle","span":"02","parent":"01","pattern":"\"order\"","start":3,"took":7,"outcome":"error","in":2,"data":{"n":1},"metadata":{"tenant":"a","attempt":"1","msctl-tap":"x","principal":"***"},"service":"orders"}
{"kind":"emit","span":"07","parent":"02","pattern":"\"ordered\"","start":8,"took":0,"outcome":"ok","in":1,"data":1,"service":"orders"}
{"kind":"handle","span":"08","parent":"07","pattern":"\"ordered\"","event":true,"start":8,"took":0,"outcome":"ok","in":1,"data":1,"service":"items"}
{"kind":"handle","span":"09","parent":"07","pattern":"\"ordered\"","event":true,"start":9,"took":0,"outcome":"ok","in":1,"data":1,"service":"items","pid":2}
{"kind":"handle","span":"0a","parent":"07","pattern":"\"ordered\"","event":true,"start":9,"took":0,"outcome":"ok","in":1,"data":1,"service":"mail"}
{"kind":"send","span":"0b","pattern":"\"old\"","id":"\"p\"","transport":"tcp","start":10,"took":1,"outcome":"ok","attempt":1,"service":"gateway"}
{"kind":"handle","span":"0c","pattern":"\"old\"","id":"\"p\"","transport":"tcp","start":10,"took":1,"outcome":"ok","service":"legacy"}
{"kind":"send","span":"0d","pattern":"\"ordered\"","start":11,"took":1,"outcome":"no handler","in":4,"data":null,"service":"gateway"}
{"kind":"send","span":"0e","pattern":"\"login\"","start":12,"took":1,"outcome":"ok","in":9,"data":{"url":["tcp://a:***@b"]},"service":"gateway"}
{"kind":"send","span":"0f","pattern":"\"big\"","start":13,"took":1,"outcome":"ok","in":16385,"data":"{\"a","cut":true,"service":"gateway"}
{"kind":"send","span":"10","pattern":"\"big\"","start":14,"took":1,"outcome":"ok","in":9,"service":"gateway"}
{"kind":"send","span":"11","pattern":"\"never\"","start":15,"took":1,"open":true,"service":"gateway"}
`

func TestMix(t *testing.T) {
	type counts struct{ Count, Cut, Secret, Retries, Unfinished int }
	for _, tt := range []struct {
		service, likely string
		selected        string
		kinds           []string
		counts          counts
		hidden          []string
	}{
		{"", "", "", []string{
			`order false: {"n":1} map[tenant:a]`, `stock false: "x" map[]`, `ordered true: 1 map[]`, `old false:  map[]`, `ordered false: null map[]`,
		}, counts{5, 2, 1, 1, 1}, []string{"principal"}},
		{"items", "orders", "items", []string{`stock false: "x" map[]`, `ordered true: 1 map[]`}, counts{2, 0, 0, 1, 0}, nil},
		{"", "orders", "orders", []string{`order false: {"n":1} map[tenant:a]`}, counts{1, 0, 0, 0, 0}, []string{"principal"}},
		{"gateway", "", "gateway", nil, counts{}, nil},
	} {
		t.Run(tt.service+tt.likely, func(t *testing.T) {
			mix, err := LoadMix(strings.NewReader(played), tt.service, tt.likely)
			if err != nil {
				t.Fatal(err)
			}
			var kinds []string
			for _, k := range mix.Kinds {
				for _, m := range k.Messages {
					kinds = append(kinds, fmt.Sprintf("%s %t: %s %v", k.Pattern, k.Event, string(m.Data), m.Metadata))
				}
			}
			if diff := cmp.Diff(tt.kinds, kinds); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.counts, counts{mix.Count(), mix.Cut, mix.Secret, mix.Retries, mix.Unfinished}); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.hidden, mix.Hidden); diff != "" || mix.Service != tt.selected {
				t.Error(mix.Service, diff)
			}
			if diff := cmp.Diff([]string{"items", "legacy", "mail", "orders"}, mix.Services); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMixErrors(t *testing.T) {
	for text, want := range map[string]string{
		"no json": "line 1 is not a record",
		"\n" + `{"span":"1","kind":"send","outcome":"ok","pattern":"{"}`: "line 2: the pattern",
	} {
		if _, err := LoadMix(strings.NewReader(text), "", ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// FuzzMix checks that no recording breaks the selection, and that it loses no message.
func FuzzMix(f *testing.F) {
	f.Add([]byte(played), "items")
	f.Add([]byte(session), "")
	f.Fuzz(func(t *testing.T, text []byte, service string) {
		mix, err := LoadMix(strings.NewReader(string(text)), service, "")
		if err != nil {
			return
		}
		for _, k := range mix.Kinds {
			if len(k.Messages) == 0 {
				t.Errorf("%s has no messages", k.Pattern)
			}
		}
	})
}
