// Package certs serves a TLS certificate from files that may be replaced at any time.
package certs

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Files is a certificate and its key in PEM files. They are read again, at most once per second,
// when a client connects. Its methods are safe for concurrent use.
type Files struct {
	certFile, keyFile string
	log               *slog.Logger
	current           atomic.Pointer[tls.Certificate]

	mu      sync.Mutex
	checked time.Time
	seen    []byte // the files as they were last, whether they were valid or not
	problem string // the last one, so that it is logged once
}

// Load reads the files. Later changes are logged.
func Load(certFile, keyFile string, log *slog.Logger) (*Files, error) {
	f := &Files{certFile: certFile, keyFile: keyFile, log: log, checked: time.Now()}
	cert, err := f.read()
	if err != nil {
		return nil, err
	}
	f.current.Store(cert)
	return f, nil
}

// errUnchanged reports files with the content that they had before.
var errUnchanged = errors.New("not changed")

// read returns the certificate in the files.
func (f *Files) read() (*tls.Certificate, error) {
	cert, err := os.ReadFile(f.certFile)
	if err != nil {
		return nil, fmt.Errorf("TLS certificate: %w", err)
	}
	key, err := os.ReadFile(f.keyFile)
	if err != nil {
		return nil, fmt.Errorf("TLS key: %w", err)
	}
	both := append(append(cert, 0), key...)
	if bytes.Equal(both, f.seen) {
		return nil, errUnchanged
	}
	f.seen = both
	pair, err := tls.X509KeyPair(both[:len(cert)], key)
	if err != nil {
		return nil, fmt.Errorf("TLS certificate %s with key %s: %w", f.certFile, f.keyFile, err)
	}
	return &pair, nil
}

// Get returns the certificate, for tls.Config. If the files have changed and are valid, it is the
// new one.
func (f *Files) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if f.mu.TryLock() { // else another connection is reading them
		f.renew()
		f.mu.Unlock()
	}
	return f.current.Load(), nil
}

// renew replaces the certificate if the files have changed. The caller holds mu.
func (f *Files) renew() {
	now := time.Now()
	if now.Sub(f.checked) < time.Second {
		return
	}
	f.checked = now
	cert, err := f.read()
	if errors.Is(err, errUnchanged) {
		return
	}
	if old := f.current.Load().Leaf; err == nil && now.After(cert.Leaf.NotAfter) && now.Before(old.NotAfter) {
		err = fmt.Errorf("TLS certificate %s has expired", f.certFile)
	}
	if err != nil {
		if problem := err.Error(); problem != f.problem {
			f.problem = problem
			f.log.Error("the TLS certificate was not replaced", "error", problem)
		}
		return
	}
	f.problem = ""
	f.current.Store(cert)
	f.log.Info("the TLS certificate was replaced", "expires", cert.Leaf.NotAfter)
}
