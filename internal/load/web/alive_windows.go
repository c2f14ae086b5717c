package web

import "net"

// alive always returns true: a request on a connection that the server has closed ends
// as a reset.
func alive(net.Conn) bool { return true }
