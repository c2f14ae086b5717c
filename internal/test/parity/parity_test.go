package parity_test

import (
	"testing"

	"github.com/msctl/msctl/internal/test/testenv"
)

// groups are the rows by their subject.
var groups = []struct {
	name string
	rows func() []row
	ours func(peers) peer
}{
	{"validation", validationRows, most}, {"bodies", bodyRows, most}, {"paths", pathRows, most}, {"framing", framingRows, most}, {"HEAD", headRows, most},
	{"documentation", documentationRows, most}, {"errors", errorRows, most}, {"access", accessRows, most}, {"limits", limitRows, most},
	{"webhooks", webhookRows, most}, {"pages", pageRows, most}, {"events", eventRows, most},
	{"compression", compressionRows, func(p peers) peer { return p.compressing }},
	{"health", downRows, func(p peers) peer { return p.down }},
	{"TLS", tlsRows, most},
}

func most(p peers) peer { return p.most }

func allRows() (all []row) {
	for _, group := range groups {
		all = append(all, group.rows()...)
	}
	return all
}

// TestBothGateways sends all rows to both gateways.
func TestBothGateways(t *testing.T) {
	certificates := testenv.NewCertificates(t)
	nest, ours := startNest(t, certificates), startOurs(t, certificates)
	for _, group := range groups {
		t.Run(group.name, func(t *testing.T) { run(t, certificates, nest, group.ours(ours), group.rows()) })
	}
}
