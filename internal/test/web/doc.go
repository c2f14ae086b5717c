// Package web uses the web client of a workspace in a browser, as its users do.
package web
