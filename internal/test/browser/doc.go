// Package browser drives headless Chromium in tests, as a user does.
package browser
