package micro_test

import (
	"context"
	"fmt"
	"iter"
	"testing"

	"github.com/msctl/msctl/runtime/micro"
	"github.com/msctl/msctl/runtime/microtest"
)

type account struct {
	ID      int `json:"id"`
	Balance int `json:"balance"`
}

var (
	findAccount  = micro.NewMethod[int, account](micro.Cmd("findAccount"))
	listAccounts = micro.NewMethod[micro.None, account](micro.Cmd("listAccounts"))
	accountMoved = micro.NewTopic[account](micro.Name("account.moved"))
)

func TestContracts(t *testing.T) {
	moved := make(chan account, 1)
	s := micro.NewServer()
	findAccount.Handle(s, func(_ context.Context, id int) (account, error) {
		if id != 7 {
			return account{}, micro.Errorf(404, "account %d not found", id)
		}
		return account{7, 100}, nil
	})
	listAccounts.HandleStream(s, func(context.Context, micro.None) iter.Seq2[account, error] {
		return func(yield func(account, error) bool) {
			_ = yield(account{1, 10}, nil) && yield(account{2, 20}, nil)
		}
	})
	accountMoved.Handle(s, func(_ context.Context, a account) error { moved <- a; return nil })
	c := microtest.Serve(t, s)

	if got, err := findAccount.Call(t.Context(), c, 7); err != nil || got != (account{7, 100}) {
		t.Errorf("call: %+v, %v", got, err)
	}
	if _, err := findAccount.Call(t.Context(), c, 8); err == nil || err.Error() != `call {"cmd":"findAccount"}: account 8 not found (status 404)` {
		t.Errorf("call of a missing account: %v", err)
	}
	sum := 0
	for a, err := range listAccounts.Stream(t.Context(), c, micro.None{}) {
		if err != nil {
			t.Fatal(err)
		}
		sum += a.Balance
	}
	if sum != 30 {
		t.Errorf("stream: sum %d, want 30", sum)
	}
	if err := accountMoved.Emit(t.Context(), c, account{7, 90}); err != nil {
		t.Fatal(err)
	}
	if got := <-moved; got != (account{7, 90}) {
		t.Errorf("event: %+v", got)
	}
	if findAccount.Pattern() != micro.Cmd("findAccount") || accountMoved.Pattern() != micro.Name("account.moved") {
		t.Errorf("patterns %s, %s", findAccount.Pattern(), accountMoved.Pattern())
	}
}

func TestZeroContractsPanic(t *testing.T) {
	c := micro.NewClient(nil)
	for name, use := range map[string]func(){
		"NewMethod":    func() { micro.NewMethod[int, int](micro.Pattern{}) },
		"NewTopic":     func() { micro.NewTopic[int](micro.Pattern{}) },
		"Method.Call":  func() { _, _ = micro.Method[int, int]{}.Call(t.Context(), c, 1) },
		"Topic.Emit":   func() { _ = micro.Topic[int]{}.Emit(t.Context(), c, 1) },
		"Topic.Handle": func() { micro.Topic[int]{}.Handle(micro.NewServer(), nil) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			use()
		})
	}
}

func ExampleMethod() {
	findAccount := micro.NewMethod[int, account](micro.Cmd("findAccount"))
	s := micro.NewServer()
	findAccount.Handle(s, func(_ context.Context, id int) (account, error) { return account{id, 100}, nil })

	ctx, stop := context.WithCancel(context.Background())
	network, served := microtest.New(), make(chan error, 1) // in place of microtcp.Listen and microtcp.Dial
	go func() { served <- s.Serve(ctx, network) }()
	a, err := findAccount.Call(ctx, network.Client(), 7)
	stop()
	fmt.Println(a.Balance, err, <-served)
	// Output: 100 <nil> <nil>
}

func ExampleTopic() {
	accountMoved := micro.NewTopic[account](micro.Name("account.moved"))
	s := micro.NewServer()
	accountMoved.Handle(s, func(_ context.Context, a account) error {
		fmt.Println(a.ID, "has", a.Balance)
		return nil
	})

	ctx, stop := context.WithCancel(context.Background())
	network, served := microtest.New(), make(chan error, 1)
	go func() { served <- s.Serve(ctx, network) }()
	err := accountMoved.Emit(ctx, network.Client(), account{7, 90})
	stop() // the server handles what it has received before Serve returns
	fmt.Println(err, <-served)
	// Output:
	// 7 has 90
	// <nil> <nil>
}
