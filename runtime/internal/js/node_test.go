package js_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/msctl/msctl/runtime/internal/js"
	"github.com/msctl/msctl/runtime/internal/js/nodetest"
)

func TestNumbersAgainstNode(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	var numbers []float64
	for len(numbers) < 10_000 {
		f := math.Float64frombits(random.Uint64())
		switch len(numbers) % 4 {
		case 1:
			f = float64(random.Int64N(1 << 60))
		case 2:
			f = float64(random.Int64N(1e7)) / math.Pow10(random.IntN(14))
		case 3:
			f = math.Pow10(random.IntN(60)-30) * float64(1+random.IntN(9))
		}
		if !math.IsNaN(f) && !math.IsInf(f, 0) {
			numbers = append(numbers, f)
		}
	}
	numbers = append(numbers, 0, math.Copysign(0, -1), 1e21, 1e21-131072, 1e-6, 9.9e-7, 5e-324, math.MaxFloat64)
	var bits []string
	for _, f := range numbers {
		bits = append(bits, fmt.Sprintf("%016x", math.Float64bits(f)))
	}
	want := strings.Split(nodetest.Run(t, `const b = Buffer.alloc(8);
console.log(input.map(x => { b.write(x, "hex"); return String(b.readDoubleBE()); }).join("\n"));`, nodetest.Strings(bits)), "\n")
	if len(want) != len(numbers) {
		t.Fatalf("node printed %d numbers, want %d", len(want), len(numbers))
	}
	for i, f := range numbers {
		if got := string(js.AppendNumber(nil, strconv.AppendFloat(nil, f, 'e', -1, 64), "null")); got != want[i] {
			t.Errorf("%x prints as %s, want %s", math.Float64bits(f), got, want[i])
		}
	}
}
