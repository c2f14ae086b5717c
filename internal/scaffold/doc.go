// Package scaffold makes the files of `msctl new`: answers in, files out, and
// then onto the disk, all of them or none.
//
// What is made depends on the answers and on the files that are there, and is
// pure: [Workspace.Files] renders a whole workspace, [Dir.NewService] and
// [Dir.NewHandler] render what is added to one. [Write] compares the result with
// the disk and changes it.
//
// Templates are in package templates, under the paths their files get. Go files
// are gofmt'd after rendering. The first line of every file says whether it is
// the user's ("This file is yours to edit") or msctl's ("DO NOT EDIT"); files of the
// user are added to by inserting lines, never rendered again.
package scaffold
