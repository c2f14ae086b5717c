package micro

import "github.com/msctl/msctl/runtime/micro/internal/plain"

// jsonCodec uses package plain for the types that it supports and the library for all
// others. The results are the same.
type jsonCodec struct{}

func (jsonCodec) Append(dst []byte, v any) ([]byte, error) {
	if out, ok := plain.Append(dst, v, library{}); ok {
		return out, nil
	}
	return library{}.Append(dst, v)
}

func (jsonCodec) Unmarshal(data []byte, v any) error {
	if plain.Unmarshal(data, v, library{}) {
		return nil
	}
	return library{}.Unmarshal(data, v)
}
