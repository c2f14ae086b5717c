package micronats

// lameDuck handles the announcement of a server that it will stop. The client moves to another
// one before the server closes the connection.
func (c *Client) lameDuck(l *link, in *inbox) {
	c.mu.Lock()
	defer c.mu.Unlock()
	in.ending = true
	if c.link == l {
		c.startMove()
	}
}

// startMove is called with c.mu held.
func (c *Client) startMove() {
	if !c.closed && !c.moving {
		l := c.link
		c.moving = true
		c.work.Go(func() { c.move(l) })
	}
}

// move replaces the connection l by one to another server. It tries until it succeeds, or until l
// has ended: then the driver connects to another server.
func (c *Client) move(l *link) {
	for attempt := 1; ; attempt++ {
		fresh, in, err := c.open()
		sameServer := err == nil && fresh.ConnectedServerId() == l.ConnectedServerId()
		again, moved := c.replace(l, fresh, in, err == nil && !sameServer)
		if !moved {
			fresh.Close()
			in.end()
		}
		if !again || sleep(c.ctx, c.pause(attempt)) != nil {
			return
		}
	}
}

// replace puts a connection in place of l if ok. It returns again if l is still in use.
func (c *Client) replace(l, fresh *link, in *inbox, ok bool) (again, moved bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.up.Load()
	if again = !c.closed && s != nil && s.link == l; again && !ok {
		return true, false
	}
	c.moving = false
	if !again {
		return false, false
	}
	c.old[c.inbox] = s
	c.work.Go(func() { c.leave(s) })
	c.use(fresh, in)
	return false, true
}

// leave closes the connection of a session when the replies to its requests have arrived and its
// events have been sent.
func (c *Client) leave(s *session) {
	select {
	case <-s.usage.retire():
		c.finishEvents(s) // what the broker has not taken by then is lost, as it would be without a move
	case <-c.ctx.Done():
	}
	s.link.Close()
	s.inbox.end()
	c.reportLost(s)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.old, s.inbox)
}
