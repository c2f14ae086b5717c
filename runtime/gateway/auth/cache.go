package auth

import (
	"crypto/sha256"
	"sync"
	"time"

	"github.com/msctl/msctl/runtime/principal"
)

const (
	// cacheFor is how long a verified token is not verified again. A key that the issuer has
	// removed is accepted for at most that time.
	cacheFor = time.Minute
	// cacheSize is the number of tokens in each of the two generations of the cache.
	cacheSize = 5000
)

// cache holds verified tokens, because verifying a signature takes longer than the rest of a
// request. It never holds more than two generations: when the young one is full, the old one
// is dropped. Tokens are keys only as hashes. It is safe for concurrent use.
type cache struct {
	mu         sync.Mutex // guards the fields below
	young, old map[[sha256.Size]byte]verified
}

type verified struct {
	caller *principal.Principal
	until  time.Time
}

func newCache() *cache {
	return &cache{young: map[[sha256.Size]byte]verified{}}
}

// get returns the caller of a token that was verified recently, or nil.
func (c *cache) get(token string, now time.Time) *principal.Principal {
	hash := sha256.Sum256([]byte(token))
	c.mu.Lock()
	defer c.mu.Unlock()
	found, ok := c.young[hash]
	if !ok {
		if found, ok = c.old[hash]; !ok {
			return nil
		}
	}
	if !now.Before(found.until) {
		return nil
	}
	return found.caller
}

// put keeps a verified token for a while, but not beyond its end.
func (c *cache) put(token string, p *principal.Principal, now time.Time) {
	until := now.Add(cacheFor)
	if p.Expires.Before(until) {
		until = p.Expires
	}
	hash := sha256.Sum256([]byte(token))
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.young) >= cacheSize {
		c.young, c.old = map[[sha256.Size]byte]verified{}, c.young
	}
	c.young[hash] = verified{p, until}
}
