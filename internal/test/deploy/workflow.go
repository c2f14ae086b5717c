package deploy

import (
	"fmt"
	"regexp"
	"strings"
)

var (
	used  = regexp.MustCompile(`uses: (\S+?)@(\S+)(.*)`)
	goRun = regexp.MustCompile(`go run (\S+)@(\S+)`)
	hash  = regexp.MustCompile(`^[0-9a-f]{40}$`)
)

// checkWorkflow checks what actionlint does not: that the workflow has no rights by default, and that what it runs from
// elsewhere is pinned.
func checkWorkflow(text string) (problems []string) {
	if !strings.Contains(text, "\npermissions: {}\n") && !strings.Contains(text, "\npermissions:\n  contents: read\n\n") {
		problems = append(problems, "the permissions at the top must be none or contents: read, not write-all or the default")
	}
	for _, action := range used.FindAllStringSubmatch(text, -1) {
		if !hash.MatchString(action[2]) {
			problems = append(problems, fmt.Sprintf("%s@%s is not pinned to a commit", action[1], action[2]))
		} else if !strings.HasPrefix(action[3], " # v") {
			problems = append(problems, fmt.Sprintf("%s: no comment names the version", action[1]))
		}
	}
	for _, tool := range goRun.FindAllStringSubmatch(text, -1) {
		if !strings.HasPrefix(tool[2], "v") {
			problems = append(problems, fmt.Sprintf("%s@%s is not pinned to a version", tool[1], tool[2]))
		}
	}
	return problems
}
