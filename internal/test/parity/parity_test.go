package parity_test

import (
	"slices"
	"testing"
)

// groups are the rows by their subject.
var groups = []struct {
	name string
	rows func() []row
}{
	{"validation", validationRows}, {"bodies", bodyRows}, {"paths", pathRows}, {"pages", pageRows}, {"errors", errorRows}, {"access", accessRows}, {"limits", limitRows}, {"webhooks", webhookRows},
}

func allRows() (all []row) {
	for _, group := range groups {
		all = append(all, group.rows()...)
	}
	return slices.Concat(all, downRows())
}

// TestBothGateways sends all rows to both gateways.
func TestBothGateways(t *testing.T) {
	nest := startNest(t)
	ours, down := startOurs(t)
	for _, group := range groups {
		t.Run(group.name, func(t *testing.T) { run(t, nest, ours, group.rows()) })
	}
	t.Run("health", func(t *testing.T) { run(t, nest, down, downRows()) })
}
