package deploy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// checkDockerfile parses a Dockerfile as docker build does, and checks what this does not.
func checkDockerfile(text string) (problems []string) {
	parsed, err := parser.Parse(strings.NewReader(text))
	if err != nil {
		return []string{err.Error()}
	}
	stages, arguments, err := instructions.Parse(parsed.AST, nil)
	if err != nil {
		return []string{err.Error()}
	}
	var variables []string
	for _, a := range arguments {
		variables = append(variables, argumentNames(a)...)
	}
	user, entry, health := "", false, false
	for _, stage := range stages {
		problems = append(problems, checkBase(stage, stages, text)...)
		user, entry, health = "", false, false // those of the last stage count
		for _, command := range stage.Commands {
			switch c := command.(type) {
			case *instructions.ArgCommand:
				variables = append(variables, argumentNames(*c)...)
			case *instructions.EnvCommand:
				for _, e := range c.Env {
					variables = append(variables, e.Key)
				}
			case *instructions.UserCommand:
				user = c.User
			case *instructions.EntrypointCommand:
				entry = true
				problems = append(problems, execForm("ENTRYPOINT", c.PrependShell)...)
			case *instructions.CmdCommand:
				problems = append(problems, execForm("CMD", c.PrependShell)...)
			case *instructions.HealthCheckCommand:
				health = len(c.Health.Test) > 1
				problems = append(problems, execForm("HEALTHCHECK", health && c.Health.Test[0] == "CMD-SHELL")...)
			}
		}
	}
	if name, _, _ := strings.Cut(user, ":"); slices.Contains([]string{"", "0", "root"}, name) {
		problems = append(problems, "the last stage runs as root")
	}
	if !entry || !health {
		problems = append(problems, "the last stage has no ENTRYPOINT or no HEALTHCHECK")
	}
	for _, name := range variables {
		if private.MatchString(name) {
			problems = append(problems, name+" would be part of the image")
		}
	}
	return problems
}

func argumentNames(a instructions.ArgCommand) (names []string) {
	for _, one := range a.Args {
		names = append(names, one.Key)
	}
	return names
}

func execForm(instruction string, shell bool) []string {
	if !shell {
		return nil
	}
	return []string{instruction + " requires a shell"}
}

var digest = regexp.MustCompile(`@sha256:[0-9a-f]{64}$`)

// checkBase checks that the image of a stage is fixed by its digest, or that a comment explains how to do that.
func checkBase(stage instructions.Stage, stages []instructions.Stage, text string) []string {
	known := func(other instructions.Stage) bool { return other.Name == stage.BaseName }
	if stage.BaseName == "scratch" || slices.ContainsFunc(stages, known) || digest.MatchString(stage.BaseName) {
		return nil
	}
	_, tag, found := strings.Cut(stage.BaseName[strings.LastIndex(stage.BaseName, "/")+1:], ":")
	if !found || tag == "latest" {
		return []string{fmt.Sprintf("the image %s has neither a tag nor a digest", stage.BaseName)}
	}
	before, _, _ := strings.Cut(text, "FROM "+stage.BaseName)
	lines := strings.Split(strings.TrimRight(before, "\n"), "\n")
	if last := lines[len(lines)-1]; !strings.HasPrefix(last, "#") || !strings.Contains(last, "digest") {
		return []string{fmt.Sprintf("the image %s has no digest, and no comment explains it", stage.BaseName)}
	}
	return nil
}
