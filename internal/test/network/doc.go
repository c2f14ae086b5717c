// Package network breaks the networks between services, their callers, and brokers, as they break in production, and
// measures when each side notices it and works again. Its tests need network namespaces, so Linux.
package network
