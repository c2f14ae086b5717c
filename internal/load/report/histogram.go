package report

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// Limits of a saved histogram, so that reading one is cheap no matter what its header
// claims.
const (
	maxHDRText   = 1 << 20 // bytes of base64
	maxHDRBytes  = 4 << 20 // bytes uncompressed
	maxHDRDigits = 4
	maxHDRValue  = int64(48 * time.Hour)
)

// histogram decodes the complete distribution.
func (l *Latency) histogram() (*hdr.Histogram, error) {
	if err := checkHDR(l.HDR); err != nil {
		return nil, err
	}
	h, err := hdr.Decode([]byte(l.HDR))
	if err != nil {
		return nil, fmt.Errorf("not a histogram: %w", err)
	}
	return h, nil
}

// checkHDR checks a histogram's header before anything of its size is allocated.
func checkHDR(text string) error {
	if len(text) > maxHDRText {
		return fmt.Errorf("the histogram is too large: %d bytes", len(text))
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return fmt.Errorf("not a histogram: %w", err)
	}
	if len(raw) < 8 {
		return errors.New("not a histogram: too short")
	}
	unpack, err := zlib.NewReader(bytes.NewReader(raw[8:]))
	if err != nil {
		return fmt.Errorf("not a histogram: %w", err)
	}
	defer unpack.Close()
	var header struct {
		Cookie, Length, Offset, Digits int32
		Lowest, Highest                int64
		Ratio                          float64
	}
	if err := binary.Read(unpack, binary.BigEndian, &header); err != nil {
		return fmt.Errorf("not a histogram: %w", err)
	}
	if header.Digits > maxHDRDigits || header.Highest > maxHDRValue || header.Lowest > header.Highest || header.Lowest < 0 {
		return fmt.Errorf("a histogram from %d to %d with %d digits was not written by msctl", header.Lowest, header.Highest, header.Digits)
	}
	if n, err := io.Copy(io.Discard, io.LimitReader(unpack, maxHDRBytes)); err != nil || n >= maxHDRBytes {
		return errors.New("not a histogram: the compressed data is corrupt or too large")
	}
	return nil
}
