// Package measure has the commands for load tests: `msctl bench`, and `msctl fault`, which injects
// faults into the messages of any client.
package measure
