package outage

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync"
)

// hosts are the names that the resolver of this process knows, in addition to those of the
// system's hosts file.
var hosts = names{address: map[string]net.IP{}}

// names is a DNS server.
type names struct {
	mu      sync.Mutex
	address map[string]net.IP
}

// set changes the address of a name.
func (n *names) set(name, ip string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.address[name] = net.ParseIP(ip).To4()
}

// resolver returns a resolver that asks n, and no other server.
func (n *names) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go n.serve(theirs)
		return ours, nil
	}}
}

// serve answers the queries of one connection, which are preceded by their length.
func (n *names) serve(conn net.Conn) {
	defer conn.Close()
	for {
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(conn, query); err != nil {
			return
		}
		reply := n.reply(query)
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...)); err != nil { //nolint:gosec // a few bytes longer than the query
			return
		}
	}
}

// reply answers a query for an IPv4 address (RFC 1035), and any other with nothing.
func (n *names) reply(query []byte) []byte {
	const header = 12
	var labels [][]byte
	at := header
	for query[at] != 0 {
		end := at + 1 + int(query[at])
		labels = append(labels, query[at+1:end])
		at = end
	}
	at += 1 + 4 // the end of the name, the type, and the class
	n.mu.Lock()
	ip := n.address[string(bytes.Join(labels, []byte(".")))]
	n.mu.Unlock()
	code, answers := byte(0), byte(0)
	switch {
	case ip == nil:
		code = 3 // there is no such name
	case query[at-3] == 1: // an IPv4 address is asked for
		answers = 1
	}
	reply := append([]byte{query[0], query[1], 0x81, 0x80 | code, 0, 1, 0, answers, 0, 0, 0, 0}, query[header:at]...)
	if answers > 0 {
		reply = append(reply, 0xc0, header, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4) // the name of the query, with a time to live of 0
		reply = append(reply, ip...)
	}
	return reply
}
