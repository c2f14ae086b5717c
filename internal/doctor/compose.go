package doctor

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/msctl/msctl/internal/secret"
)

// composeService is what matters of a service in compose.yaml: its environment.
type composeService struct{ env map[string]string }

// compose reads the compose file of the workspace, under one of its usual names. A file that is no compose file has
// no services.
func (e *exam) compose() (file string, services map[string]*composeService) {
	for _, name := range []string{"compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"} {
		text, err := os.ReadFile(filepath.Join(e.Workspace.Dir, name))
		if err != nil {
			continue
		}
		services, err := parseCompose(text)
		if err != nil {
			e.skip(name, "it is not valid YAML")
		}
		return name, services
	}
	return "", nil
}

func parseCompose(text []byte) (map[string]*composeService, error) {
	var doc struct {
		Services map[string]struct {
			Environment any `yaml:"environment"`
		} `yaml:"services"`
	}
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("read the compose file: %w", err)
	}
	services := map[string]*composeService{}
	for name, s := range doc.Services {
		env := map[string]string{}
		switch list := s.Environment.(type) {
		case map[string]any:
			for k, v := range list {
				env[k] = fmt.Sprint(v)
			}
		case []any:
			for _, item := range list {
				k, v, _ := strings.Cut(fmt.Sprint(item), "=")
				env[k] = v
			}
		}
		services[name] = &composeService{env}
	}
	return services, nil
}

// callersIn returns the variables of other services that name a service as a host.
func callersIn(services map[string]*composeService, name string) (callers []string) {
	host := regexp.MustCompile(`(^|//|@|,)` + regexp.QuoteMeta(name) + `(:\d+)?([/,]|$)`)
	for _, other := range slices.Sorted(maps.Keys(services)) {
		if other == name {
			continue
		}
		for _, variable := range slices.Sorted(maps.Keys(services[other].env)) {
			if value := services[other].env[variable]; host.MatchString(value) && !secret.Named(variable) {
				callers = append(callers, fmt.Sprintf("%s has %s=%s", other, variable, secret.URL(value)))
			}
		}
	}
	return callers
}
