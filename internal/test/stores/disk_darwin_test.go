package stores

import "testing"

func mountSmallDisk(t *testing.T, _ string) {
	t.Helper()
	t.Skip("mounts a disk, which requires Linux")
}
