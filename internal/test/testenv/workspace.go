package testenv

// WorkspaceBuild returns the settings with which tests run the go command in a generated workspace. All
// packages use the same ones, so the runtime is built once for all workspaces, wherever they are.
// Modules that are not in the module cache yet are downloaded: see OfflineBuild.
func WorkspaceBuild() []string {
	return []string{"GOFLAGS=-buildvcs=false -trimpath", "GOEXPERIMENT=", "GOWORK=off"}
}

// OfflineBuild is WorkspaceBuild without a network and with an empty module cache, which is a folder that
// does not exist yet.
func OfflineBuild(cache string) []string {
	return append(WorkspaceBuild(), "GOPROXY=off", "GOMODCACHE="+cache)
}
