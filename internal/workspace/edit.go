package workspace

import (
	"fmt"
	"maps"
	"slices"
)

// AddService returns the text of a workspace file with another service at the end of
// `services`. The rest stays the same, byte for byte. Default values are not written. It
// returns an error if the text or the result is not a valid workspace, if the service
// exists, or if the file cannot be edited safely (`services: {a: …}` on one line).
func AddService(text []byte, s Service) ([]byte, error) {
	e, err := newEditor(text)
	if err != nil {
		return nil, fmt.Errorf("add service %s: %w", s.Name, err)
	}
	if e.before.Service(s.Name) != nil {
		return nil, fmt.Errorf("add service %s: the service is already in %s", s.Name, FileName)
	}
	if err := e.addService(&s); err != nil {
		return nil, fmt.Errorf("add service %s to %s: %w", s.Name, FileName, err)
	}
	return e.finish("add service "+s.Name, func(w *Workspace) { w.Services = append(w.Services, &s) })
}

// AddDependency returns the text with dependency added to `depends_on` of a service, or
// the same text if it is already there. Otherwise it is like [AddService].
func AddDependency(text []byte, service, dependency string) ([]byte, error) {
	doing := fmt.Sprintf("make %s depend on %s", service, dependency)
	e, err := newEditor(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	s := e.before.Service(service)
	if s == nil {
		return nil, fmt.Errorf("%s: %s has no service %s", doing, FileName, service)
	}
	if slices.Contains(s.DependsOn, dependency) {
		return text, nil
	}
	if err := e.addItem(service, "depends_on", dependency, "["+dependency+"]", ""); err != nil {
		return nil, fmt.Errorf("%s in %s: %w", doing, FileName, err)
	}
	return e.finish(doing, func(w *Workspace) {
		s := w.Service(service)
		s.DependsOn = append(s.DependsOn, dependency)
	})
}

// AddEnv returns the text with key: value added to the `env` of a service, or the same
// text if the service already has the variable with any value. Otherwise it is like
// [AddService].
func AddEnv(text []byte, service, key, value string) ([]byte, error) {
	doing := fmt.Sprintf("add the variable %[2]s to %[1]s", service, key)
	e, err := newEditor(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	s := e.before.Service(service)
	if s == nil {
		return nil, fmt.Errorf("%s: %s has no service %s", doing, FileName, service)
	}
	if _, there := s.Env[key]; there {
		return text, nil
	}
	if err := e.addItem(service, "env", key+": "+scalar(value), "", key+": "+scalar(value)); err != nil {
		return nil, fmt.Errorf("%s in %s: %w", doing, FileName, err)
	}
	return e.finish(doing, func(w *Workspace) {
		s := w.Service(service)
		s.Env = maps.Clone(s.Env)
		if s.Env == nil {
			s.Env = map[string]string{}
		}
		s.Env[key] = value
	})
}
