package js

import "testing"

func TestSanitizeUTF8(t *testing.T) {
	for in, want := range map[string]string{
		"plain é😀": "plain é😀", "\xff": "\uFFFD", "\xed\xa0\xbd": "\uFFFD\uFFFD\uFFFD", "\xf0\x9f\x98a": "\uFFFDa", "\xf0\x9f\x98": "\uFFFD",
		"\xc0\xaf": "\uFFFD\uFFFD", "\xe2\x82": "\uFFFD", "\xf4\x90\x80\x80": "\uFFFD\uFFFD\uFFFD\uFFFD", "\xf5": "\uFFFD", "\xe0\x80": "\uFFFD\uFFFD",
		"\xf0\x80": "\uFFFD\uFFFD", "\xf4\x8f\xbf\xbf": "\U0010FFFF", "\xf1\x80\x80": "\uFFFD", "\xdf": "\uFFFD", "\xe0\xa0\x80": "\u0800", "\xed\x9f\xbf": "\uD7FF",
	} {
		if got := string(SanitizeUTF8([]byte(in))); got != want {
			t.Errorf("SanitizeUTF8(%q) = %q, want %q", in, got, want)
		}
	}
}
