// Package scaffold creates the files of `msctl new`: it renders the answers to files, and
// writes all of them or none.
//
// Rendering depends only on the answers and the existing files: [Workspace.Files]
// renders a whole workspace; [Dir.NewService] and [Dir.NewHandler] render additions to
// one. [Write] compares the result with the disk and changes it.
//
// Templates are in package templates, under the paths their files get. Go files
// are gofmt'd after rendering. The first line of every file states whether the user owns
// it ("This file is yours to edit") or msctl does ("DO NOT EDIT"). msctl inserts lines
// into the user's files, and never renders them again.
package scaffold
