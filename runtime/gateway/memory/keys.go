package memory

import (
	"container/heap"
	"container/list"
	"strings"
	"sync"
	"time"
)

// kinds are the keys of each kind. They have limits of their own, so that callers who fill one of
// them do not make the store forget another.
type kinds struct {
	maxKeys  int
	maxBytes int64

	mu  sync.Mutex // guards all
	all map[string]*keys
}

// of returns the keys of the kind that key has.
func (k *kinds) of(key string) *keys {
	kind, _, found := strings.Cut(key, ":")
	if !found {
		kind = ""
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.all[kind] == nil {
		k.all[kind] = &keys{maxKeys: k.maxKeys, maxBytes: k.maxBytes, byKey: map[string]*entry{}}
	}
	return k.all[kind]
}

// keys are values by key. The one that expires first is at the top of a heap, and the oldest one
// at the front of a list.
type keys struct {
	maxKeys  int
	maxBytes int64

	mu     sync.Mutex // guards the fields below
	byKey  map[string]*entry
	byTime byTime
	byAge  list.List // of *entry
	bytes  int64     // of all keys and values
}

type entry struct {
	key     string
	value   []byte
	expires int64
	index   int           // in byTime
	age     *list.Element // in byAge
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

// put replaces a key. It first forgets those that have expired, and then as many of the oldest as
// needed: those that expire first may be the newest.
func (k *keys) put(key string, value []byte, now int64, ttl time.Duration) error {
	e := &entry{key: key, value: value, expires: now + int64(ttl)}
	if e.size() > k.maxBytes {
		return ErrTooLarge
	}
	k.remove(k.byKey[key])
	for len(k.byTime) > 0 && k.byTime[0].expires <= now {
		k.remove(k.byTime[0])
	}
	for len(k.byKey) > 0 && (len(k.byKey) >= k.maxKeys || k.bytes+e.size() > k.maxBytes) {
		oldest, _ := k.byAge.Front().Value.(*entry) // the list has nothing else
		k.remove(oldest)
	}
	k.byKey[key] = e
	k.bytes += e.size()
	e.age = k.byAge.PushBack(e)
	heap.Push(&k.byTime, e)
	return nil
}

// remove removes an entry; nil means none.
func (k *keys) remove(e *entry) {
	if e == nil {
		return
	}
	heap.Remove(&k.byTime, e.index)
	k.byAge.Remove(e.age)
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
