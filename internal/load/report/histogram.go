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

// What a saved histogram may hold, so that reading one stays cheap whatever a
// file says of itself.
const (
	mostHDRText   = 1 << 20 // bytes of base64
	mostHDRBytes  = 4 << 20 // and unpacked
	mostHDRDigits = 4
	mostHDRValue  = int64(48 * time.Hour)
)

// histogram unpacks the distribution.
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

// checkHDR looks at a histogram's header before anything is made of its size.
func checkHDR(text string) error {
	if len(text) > mostHDRText {
		return fmt.Errorf("a histogram of %d bytes is too large", len(text))
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return fmt.Errorf("not a histogram: %w", err)
	}
	if len(raw) < 8 {
		return errors.New("not a histogram: it is too short")
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
	if header.Digits > mostHDRDigits || header.Highest > mostHDRValue || header.Lowest > header.Highest || header.Lowest < 0 {
		return fmt.Errorf("a histogram from %d to %d with %d digits is none of msctl's", header.Lowest, header.Highest, header.Digits)
	}
	if n, err := io.Copy(io.Discard, io.LimitReader(unpack, mostHDRBytes)); err != nil || n >= mostHDRBytes {
		return errors.New("not a histogram: what is packed is broken, or too large")
	}
	return nil
}
