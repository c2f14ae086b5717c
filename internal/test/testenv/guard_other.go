//go:build !unix

package testenv

import (
	"context"
	"errors"
	"os"
	"os/exec"
)

// guard removes the directory of a broker at its end. This system has no process groups, so a broker may outlive a test
// that is killed.
type guard struct{ dir string }

func newGuard(dir string) (*guard, error) { return &guard{dir}, nil }

func (g *guard) start(cmd *exec.Cmd) error { return cmd.Start() }
func (g *guard) forget()                   {}
func (g *guard) close()                    { _ = os.RemoveAll(g.dir) }

func killGroup(cmd *exec.Cmd)      { _ = cmd.Process.Kill() }
func terminateGroup(cmd *exec.Cmd) { killGroup(cmd) }
func pauseGroup(*exec.Cmd)         { panic("a broker cannot be paused on this system") }
func resumeGroup(*exec.Cmd)        {}
func lameDuckGroup(*exec.Cmd)      { panic("a NATS server has no lame-duck mode on this system") }

func lockBetweenProcesses(context.Context, string) (func(), error) {
	return nil, errors.New("brokers cannot be shared between processes on this system: unset the variable to use private ones")
}
