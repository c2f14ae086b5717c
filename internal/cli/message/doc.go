// Package message has the commands that send messages to services, list what services handle, or
// reply in their place: `msctl send`, `msctl emit`, `msctl ls`, `msctl verify`, and `msctl mock`.
package message
