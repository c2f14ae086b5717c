package secret_test

import (
	"testing"

	"github.com/msctl/msctl/internal/secret"
)

// TestSource checks that the credentials in an expression are masked, whatever their length
// is, and nothing else.
func TestSource(t *testing.T) {
	for text, want := range map[string]string{
		`process.env.DB_PASSWORD ?? 'hunter2'`:                                                `process.env.DB_PASSWORD ?? '***'`,
		`process.env.DB_PASSWORD || "abc"`:                                                    `process.env.DB_PASSWORD || "***"`,
		"(process.env['API_TOKEN'] ?? (`abc`))":                                               "(process.env['API_TOKEN'] ?? (`***`))",
		`config.get('DB_PASSWORD', 'hunter2')`:                                                `config.get('DB_PASSWORD', '***')`,
		`config.get<string>("db.password", 'a\'b')`:                                           `config.get<string>("db.password", '***')`,
		`flag ? process.env.SECRET : 'abc'`:                                                   `flag ? process.env.SECRET : '***'`,
		`Joi.string().default('abc') && process.env.JWT`:                                      `Joi.string().default('***') && process.env.JWT`,
		`{ url: 'amqp://app:s3cret@h', queue: 'q' }`:                                          `{ url: 'amqp://app:***@h', queue: 'q' }`,
		"`amqp://app:${process.env.PASSWORD ?? 'abc'}@${host}`":                               "`amqp://app:${process.env.PASSWORD ?? '***'}@${host}`",
		`{ user: 'app', pass: 'abc', host }`:                                                  `{ user: 'app', pass: '***', host }`,
		`['nats://tok@h', 'SUAGI7XP6RWDJDPKWHPDKMFMPTQFEQJ4OZQNQWQMZFMWGIJTSXQHK5VWUA'] ?? x`: `['nats://***@h', '***'] ?? x`,
		`process.env.TOPIC ?? 'orders'`:                                                       `process.env.TOPIC ?? 'orders'`,
		`ITEMS_TOKEN + '.created'`:                                                            `ITEMS_TOKEN + '.created'`,
		`pick(['email', 'token', 'x'])`:                                                       `pick(['email', 'token', 'x'])`,
		`it's ?? 'x'`:                                                                         `it's ?? 'x'`,
		``:                                                                                    ``,
	} {
		if got := secret.Source(text); got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
}
