package web

import "net"

// alive does not know: a request on a connection that the server has closed
// meanwhile ends as a reset.
func alive(net.Conn) bool { return true }
