package main

// exemptions lists where a phrase to avoid is correct. Each entry has a reason.
var exemptions = []exemption{
	{"internal/dev/prose/", "", "the phrases themselves"},
	{"runtime/gateway/ui/", "", "third-party files"},
	{"internal/exit/exit.go", "Said", "the name of a function"},
	{"internal/load/report/threshold_test.go", "errors < 1 %", "input of a user"},
	{"internal/cli/main_test.go", `"nobody"`, "the name of a queue"},
	{"internal/cli/main_test.go", "nobody", "the name of a test case"},
	{"internal/workspace/", `"nobody"`, "the name of a service"},
	{"internal/workspace/broker_test.go", "said", "the name of a service"},
	{"internal/workspace/", "the mail", "an argument of a service"},
	{"templates/notifications/apps/notifications/smtp.go.tmpl", "so that mail", "mail clients, the usual term"},
	{"templates/notifications/apps/notifications/smtp_test.go.tmpl", "354 go on", "a reply of an SMTP server"},
	{"templates/workspace/compose.yaml.tmpl", ".Mails", "a field of the template's data"},
	{"testdata/script/new_add.txtar", "/mails", "a path"},
	{"testdata/script/new_workspace.txtar", "mails", "the name of a workspace"},
	{"testdata/script/run_detached.txtar", "nobody", "the name of a service"},
	{"testdata/script/run_usage.txtar", "nobody.invalid", "a host name"},
}
