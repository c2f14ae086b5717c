package secret_test

import (
	"testing"

	"github.com/msctl/msctl/internal/secret"
)

// TestWorkingDirectory checks that the folder of a shell, in PWD, is no password.
func TestWorkingDirectory(t *testing.T) {
	var s secret.Set
	s.LearnEnvironment([]string{"PWD=/home/me/shop", "OLDPWD=/home/me/other", "DB_PWD=a-s3cret-one"})
	const text = "unix:///home/me/shop/items.sock /home/me/other "
	if got := s.Mask(text + "a-s3cret-one"); got != text+secret.Mask {
		t.Errorf("got %q", got)
	}
}
