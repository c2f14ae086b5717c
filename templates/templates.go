// Package templates holds the files that `msctl new` writes, as text/template
// sources: a folder for each thing that can be made, in it the files under the
// paths they get, with .tmpl behind their names. Names that begin with a dot are
// stored without it (gitignore.tmpl), see package scaffold.
package templates

import (
	"embed"
	"io/fs"
)

//go:embed all:workspace all:money all:timestamp all:id all:handler
//go:embed all:service all:worker
//go:embed all:items all:items_sql all:items_sqlite all:items_memory
//go:embed all:orders all:orders_sql all:orders_sqlite all:orders_memory
//go:embed all:notifications all:notifications_sql all:notifications_sqlite all:notifications_memory
//go:embed all:database all:sqlite all:postgres
//go:embed all:broker all:rabbitmq all:redis all:nats
//go:embed all:kubernetes all:web all:telemetry
//go:embed all:compose all:compose_dev sums
var files embed.FS

// Files returns the templates.
func Files() fs.FS { return files }
