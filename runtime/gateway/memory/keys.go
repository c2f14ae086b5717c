package memory

import (
	"container/heap"
	"sync"
	"time"
)

// keys are values by key. The one that expires first is at the top of a heap.
type keys struct {
	maxKeys  int
	maxBytes int64

	mu     sync.Mutex // guards the fields below
	byKey  map[string]*entry
	byTime byTime
	bytes  int64 // of all keys and values
}

type entry struct {
	key     string
	value   []byte
	expires int64
	index   int // in byTime
}

func (e *entry) size() int64 { return int64(len(e.key) + len(e.value)) }

func (k *keys) add(key string, value []byte, now int64, ttl time.Duration) ([]byte, bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if found := k.byKey[key]; found != nil && now < found.expires {
		return found.value, false, nil
	}
	if err := k.put(key, value, now, ttl); err != nil {
		return nil, false, err
	}
	return nil, true, nil
}

func (k *keys) set(key string, value []byte, now int64, ttl time.Duration) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.put(key, value, now, ttl)
}

func (k *keys) delete(key string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.remove(k.byKey[key])
}

// put replaces a key. It first forgets those that have expired, and as many others as needed.
func (k *keys) put(key string, value []byte, now int64, ttl time.Duration) error {
	e := &entry{key: key, value: value, expires: now + int64(ttl)}
	if e.size() > k.maxBytes {
		return ErrTooLarge
	}
	k.remove(k.byKey[key])
	for len(k.byTime) > 0 {
		first := k.byTime[0]
		if now < first.expires && len(k.byTime) < k.maxKeys && k.bytes+e.size() <= k.maxBytes {
			break
		}
		k.remove(first)
	}
	k.byKey[key] = e
	k.bytes += e.size()
	heap.Push(&k.byTime, e)
	return nil
}

// remove removes an entry; nil means none.
func (k *keys) remove(e *entry) {
	if e == nil {
		return
	}
	heap.Remove(&k.byTime, e.index)
	delete(k.byKey, e.key)
	k.bytes -= e.size()
}

// byTime is a heap of entries.
type byTime []*entry

func (h byTime) Len() int           { return len(h) }
func (h byTime) Less(i, j int) bool { return h[i].expires < h[j].expires }

func (h byTime) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *byTime) Push(x any) {
	e, _ := x.(*entry) // heap.Push is given nothing else
	e.index = len(*h)
	*h = append(*h, e)
}

func (h *byTime) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return e
}
