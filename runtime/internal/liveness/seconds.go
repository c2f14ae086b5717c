//go:build darwin || windows

package liveness

import "time"

// seconds rounds a timeout up for systems that count in whole seconds.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }
