package doctor

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/msctl/msctl/runtime/micro"
	record "github.com/msctl/msctl/runtime/tap"
)

// metadata reports services on NestJS 10 and 11 behind callers that rely on the metadata of packets, which these versions
// ignore over TCP and Redis.
func metadata(ctx context.Context, e *exam) {
	fromSources := e.hooksInSources(ctx)
	if e.Recording != nil {
		e.metadataInRecording(ctx)
		return
	}
	if !fromSources {
		e.needRecording()
	}
}

// major returns the major version, such as 11; 0 if it is not known.
func major(version string) (n int) {
	if _, err := fmt.Sscanf(version, "%d.", &n); err != nil {
		return 0
	}
	return n
}

// ignoresMetadata reports whether a version of NestJS ignores metadata.
func ignoresMetadata(version string) bool { return major(version) > 0 && major(version) < 12 }

const (
	metadataCause = "NestJS 10 and 11 ignore the metadata of packets: their contexts have no getMetadata, so what the caller passes on is lost"
	metadataFix   = "upgrade the service to NestJS 12, put the values into the data, or use NATS or RabbitMQ with headers"
)

// hooksInSources reports callers that set metadata with setOnDispatchHook. It reports whether it could look.
func (e *exam) hooksInSources(ctx context.Context) (made bool) {
	for _, s := range e.all() {
		from := e.source(ctx, s.Name)
		if from == nil || from.dispatchHook == "" {
			continue
		}
		for _, end := range from.endpoints {
			if !end.client || end.transport != "TCP" {
				continue
			}
			for _, to := range e.Workspace.Services {
				receiver := e.source(ctx, to.Name)
				if to.Port == 0 || to.Port != end.port || receiver == nil {
					continue
				}
				made = true
				e.checked()
				if ignoresMetadata(receiver.version) {
					e.found(Finding{
						Code: "metadata-ignored", Where: s.Name + " → " + to.Name,
						Evidence: []string{
							fmt.Sprintf("%s sets metadata with setOnDispatchHook (%s)", s.Name, from.dispatchHook),
							fmt.Sprintf("%s runs on @nestjs/microservices %s", to.Name, receiver.version),
						},
						Cause: metadataCause, Fix: metadataFix,
					})
				}
			}
		}
	}
	return made
}

// nestVersion matches the version of NestJS in the description of a runtime.
var nestVersion = regexp.MustCompile(`@nestjs/microservices (\d+\.[\w.-]+)`)

// metadataInRecording reports recorded messages with metadata of the caller's own, over TCP or Redis, that a service on NestJS 10
// or 11 has received.
func (e *exam) metadataInRecording(ctx context.Context) {
	compared := false
	for _, m := range e.Recording.spans {
		if m.Kind != record.Send && m.Kind != record.Emit || m.Transport != "tcp" && m.Transport != "redis" {
			continue
		}
		own := ownMetadata(m.Metadata)
		for _, h := range e.Recording.handled(m) {
			version := versionOf(h.Runtime)
			if s := e.source(ctx, h.Service); version == "" && s != nil {
				version = s.version
			}
			if version == "" && !strings.HasPrefix(h.Runtime, "go") {
				continue
			}
			compared = true
			if len(own) == 0 || !ignoresMetadata(version) {
				continue
			}
			e.found(Finding{
				Code: "metadata-ignored", Where: m.Service + " → " + h.Service,
				Evidence: []string{
					fmt.Sprintf("%s sent %s with the metadata %s (%s)", m.Service, m.Pattern, sentence(own), e.Recording.trace(m)),
					fmt.Sprintf("%s runs on @nestjs/microservices %s", h.Service, version),
				},
				Cause: metadataCause, Fix: metadataFix,
			})
		}
	}
	if compared {
		e.checked()
		return
	}
	e.skip("", "no recorded message over TCP or Redis has a receiver whose version is known")
}

// ownMetadata returns the names of the metadata that a caller has set itself, as opposed to msctl's own, which services can
// do without.
func ownMetadata(all map[string]string) []string {
	names := slices.Sorted(maps.Keys(all))
	return slices.DeleteFunc(names, func(name string) bool {
		switch name {
		case micro.MetaCorrelationID, micro.MetaTraceparent, micro.MetaTimeout, micro.MetaAttempt, record.Key, "tracestate":
			return true
		}
		return false
	})
}

func versionOf(runtime string) string {
	if m := nestVersion.FindStringSubmatch(runtime); m != nil {
		return m[1]
	}
	return ""
}
