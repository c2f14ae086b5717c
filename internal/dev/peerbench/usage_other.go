//go:build !linux

package main

import (
	"errors"
	"time"
)

var errNoUsage = errors.New("the CPU time of another process can be read on Linux only: run make bench there")

func cpuTime(int) (time.Duration, error) { return 0, errNoUsage }

func residentMemory(int) (int, error) { return 0, errNoUsage }
