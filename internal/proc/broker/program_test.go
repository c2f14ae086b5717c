package broker

import "testing"

// TestWorth checks which lines of RabbitMQ's log are printed.
func TestWorth(t *testing.T) {
	p := &Program{Dir: t.TempDir()}
	if err := p.rabbit(5672); err != nil {
		t.Skip(err)
	}
	for line, want := range map[string]bool{
		"2026-11-29 07:43:28+00:00 [info] <0.9.0> Server startup complete; 0 plugins started.":                                                                                                     false,
		"2026-11-29 07:43:28+00:00 [error] <0.9.0> Channel error on connection <0.6.0> (127.0.0.1:54342 -> 127.0.0.1:5672, vhost: '/', user: 'guest'), channel 1:":                                 false,
		"2026-11-29 07:43:28+00:00 [error] <0.9.0> operation queue.declare caused a channel exception not_found: no queue 'mail_queue' in vhost '/'":                                               false,
		"2026-11-29 07:43:28+00:00 [error] <0.9.0> operation queue.declare caused a channel exception precondition_failed: inequivalent arg 'durable' for queue 'q' in vhost '/': received 'true'": true,
		"2026-11-29 07:43:28+00:00 [error] <0.9.0> PLAIN login refused: user 'app' - invalid credentials":                                                                                          true,
	} {
		if got := p.Worth(line); got != want {
			t.Errorf("%s: %v, want %v", line, got, want)
		}
	}
}
