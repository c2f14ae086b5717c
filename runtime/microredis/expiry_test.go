package microredis

import (
	"math"
	"testing"
	"time"

	"github.com/msctl/msctl/runtime/micro"
)

// TestExpiry checks that a deadline as far as possible does not overflow into the past.
func TestExpiry(t *testing.T) {
	for name, within := range map[string]time.Duration{"an hour": time.Hour, "as long as possible": math.MaxInt64} {
		at := expiry(&micro.Request{Deadline: time.Now().Add(within)})
		if left := at - clock(); left < int64(within)/2 {
			t.Errorf("%s: the message expires in %s, want %s", name, time.Duration(left), within)
		}
	}
}
