package main

// exemptions lists where a phrase to avoid is correct. Each entry has a reason.
var exemptions = []exemption{
	{"internal/dev/prose/", "", "the phrases themselves"},
	{"internal/exit/exit.go", "Said", "the name of a function"},
	{"internal/load/report/threshold_test.go", "errors < 1 %", "input of a user"},
	{"runtime/gateway/webhook/", "It's a Secret to Everybody", "the secret of GitHub's test vector"},
	{"internal/workspace/", "the mail", "an argument of a service"},
	{"templates/notifications/apps/notifications/smtp.go.tmpl", "so that mail", "mail clients, the usual term"},
	{"templates/notifications/apps/notifications/smtp_test.go.tmpl", "354 go on", "a reply of an SMTP server"},
	{"templates/workspace/compose.yaml.tmpl", ".Mails", "a field of the template's data"},
}
