package main

// exemptions lists where a phrase to avoid is correct. Each entry has a reason.
var exemptions = []exemption{
	{"internal/dev/prose/phrases.go", "", "the phrases themselves"},
	{"internal/dev/prose/prose_test.go", "", "the phrases themselves"},
	{"runtime/gateway/ui/", "", "third-party files"},
}
