package operate

import (
	"github.com/msctl/msctl/internal/exit"
	"github.com/msctl/msctl/internal/tap/otlp"
	"github.com/msctl/msctl/internal/term"
)

// exporting is the flags of `msctl tap` for a collector of OpenTelemetry.
type exporting struct {
	url     string
	bodies  bool
	version string

	endpoint *otlp.Endpoint // nil without --otlp
}

// checkOTLP parses --otlp. All its errors are usage errors.
func (v *tapView) checkOTLP() (err error) {
	e := &v.o.otlp
	switch {
	case e.url != "":
		if e.endpoint, err = otlp.Parse(e.url, v.io.Secrets()); err != nil {
			return exit.Usagef("--otlp: %w", err)
		}
	case e.bodies:
		return exit.Usagef("--otlp-bodies requires --otlp")
	}
	return nil
}

// startOTLP starts sending messages to the collector of --otlp. The result ends that, and reports how it went.
func (v *tapView) startOTLP() (end func() error) {
	e := v.o.otlp
	if e.endpoint == nil {
		return func() error { return nil }
	}
	v.exporter = e.endpoint.Start(e.version, e.bodies)
	return func() error {
		stats, p := v.exporter.Close(), v.io.ErrPalette()
		switch {
		case stats.Sent == 0 && stats.Lost > 0 && stats.Last != nil:
			return exit.WithCode(exit.WithText(stats.Last, "--otlp: none of "+term.Count(stats.Lost, "span")+" could be sent to "+e.endpoint.String()+": "+stats.Last.Error()), exit.Unreachable)
		case stats.Lost > 0 && stats.Last != nil:
			v.io.Remarkf("%s could not be sent to %s: %v", term.Count(stats.Lost, "span"), e.endpoint, stats.Last)
		case stats.Lost > 0:
			v.io.Remarkf("%s could not be sent to %s: there were more than it received in time", term.Count(stats.Lost, "span"), e.endpoint)
		}
		v.io.Notef("sent %s to %s", term.Count(stats.Sent, "span"), p.Accent(e.endpoint.String()))
		return nil
	}
}
