// Package swagger uses the documentation page of a gateway in a browser, as a developer does.
package swagger
