package workspace

import (
	"fmt"
	"maps"
	"slices"
)

// AddService returns the text of a workspace file with one more service at the
// end of `services`. Comments, order and spacing of the rest stay as they are,
// byte for byte. Line, Column and what equals a default are not written.
// Errors: those of [Load] when the text is not a valid workspace or would not be
// one with the service; a service of that name; a file in a form that cannot be
// edited safely (`services: {a: …}` on one line).
func AddService(text []byte, s Service) ([]byte, error) {
	e, err := newEditor(text)
	if err != nil {
		return nil, fmt.Errorf("add service %s: %w", s.Name, err)
	}
	if e.before.Service(s.Name) != nil {
		return nil, fmt.Errorf("add service %s: %s has a service of that name", s.Name, FileName)
	}
	if err := e.addService(&s); err != nil {
		return nil, fmt.Errorf("add service %s: %w", s.Name, err)
	}
	return e.finish("add service "+s.Name, func(w *Workspace) { w.Services = append(w.Services, &s) })
}

// AddDependency returns the text with dependency among `depends_on` of a
// service; the text itself when it is there already. The rest is as in
// [AddService].
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
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	return e.finish(doing, func(w *Workspace) {
		s := w.Service(service)
		s.DependsOn = append(s.DependsOn, dependency)
	})
}

// AddEnv returns the text with key: value in the `env` of a service; the text
// itself when the service has that variable already, whatever its value. The
// rest is as in [AddService].
func AddEnv(text []byte, service, key, value string) ([]byte, error) {
	doing := fmt.Sprintf("give %s the variable %s", service, key)
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
		return nil, fmt.Errorf("%s: %w", doing, err)
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
