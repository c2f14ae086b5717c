package agents

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/msctl/msctl/internal/bench"
	"github.com/msctl/msctl/internal/load"
	benchreport "github.com/msctl/msctl/internal/load/report"
	"github.com/msctl/msctl/internal/test/testenv"
)

// login is a way to log in at a NATS server.
type login struct {
	lines []string // of the server's configuration
	url   string
}

// logins returns how the machines log in.
func logins(t *testing.T) map[string]login {
	t.Helper()
	write := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const token = "a-token-of-the-test"
	t.Setenv(PasswordVariable, token)
	creds, key, certs := testenv.NATSCreds(t, time.Now().Add(time.Hour)), testenv.NATSKey(t), testenv.NewCertificates(t)
	at := "127.0.0.1:" + serverPort
	return map[string]login{
		"credentials": {creds.Config, "nats://" + at + "?creds=" + write("user.creds", creds.Creds)},
		"nkey":        {key.Config, "nats://" + at + "?nkey=" + write("user.seed", key.Seed)},
		"token":       {[]string{"authorization { token: " + token + " }"}, "nats://@" + at},
		"TLS":         {certs.NATS(), "nats+tls://" + at + "?ca=" + certs.CAFile},
	}
}

// machineForms are the forms of a bench for each login.
func machineForms(dir string) map[string]map[string][][2]string {
	scenario := [2]string{"scenario", filepath.Join(dir, "mix.yaml")}
	retries := [][2]string{{"rate", "200/s"}, {"duration", "1500ms"}, {"timeout", "200ms"}, {"retries", "2"}, {"retry-delay", "10ms"}}
	all := map[string]map[string][][2]string{
		"credentials": {
			"poisson": {{"rate", "300/s"}, {"duration", "1500ms"}, {"arrivals", "poisson"}, {"seed", "7"}},
			"users":   {{"users", "9"}, {"requests", "401"}},
			"policy":  append(retries, [2]string{"budget", "20%+8/s"}),
			"stages":  {{"stages", "200/s:500ms,400/s:500ms,100/s:500ms"}},
			"mix":     {scenario, {"rate", "200/s"}, {"requests", "301"}, {"seed", "3"}},
		},
		"nkey": {
			"rate":   {{"rate", "400/s"}, {"duration", "1500ms"}},
			"think":  {{"users", "7"}, {"think", "5ms"}, {"duration", "1500ms"}},
			"faults": append(retries, [2]string{"fault", "error=10%"}, [2]string{"fault", "stall@500ms+300ms"}),
			"ramp":   {{"ramp", "50/s..500/s"}, {"duration", "1500ms"}},
			"hedge":  {{"rate", "200/s"}, {"duration", "1500ms"}, {"hedge", "50ms"}},
		},
		"token": {
			"sine":   {{"sine", "200/s+-150/s:1s"}, {"duration", "1500ms"}},
			"closed": {{"users", "4"}, {"requests", "300"}, {"seed", "11"}},
			"drops":  append(retries, [2]string{"fault", "drop-reply=10%"}),
			"stages": {{"stages", "100/s:500ms,300/s:1s"}, {"arrivals", "poisson"}, {"seed", "5"}},
			"many":   {{"rate", "1000/s"}, {"requests", "1501"}},
		},
		"TLS": {
			"poisson": {{"rate", "500/s"}, {"duration", "1500ms"}, {"arrivals", "poisson"}, {"warmup", "300ms"}},
			"users":   {scenario, {"users", "8"}, {"requests", "320"}},
			"breaker": append(retries, [2]string{"breaker", "50%/1s+200ms"}),
			"reset":   append(retries, [2]string{"fault", "latency=20ms"}),
			"few":     {{"rate", "20/s"}, {"requests", "31"}},
		},
	}
	if os.Getenv("MSCTL_TEST_ALL") == "" {
		return map[string]map[string][][2]string{
			"credentials": {"poisson": all["credentials"]["poisson"], "users": all["credentials"]["users"]}, "TLS": {"policy": all["credentials"]["policy"]},
		}
	}
	return all
}

// TestMachines makes runs on four agents, each in a network of its own, with a monotonic clock that is up to 120 s off,
// which reach a real NATS server through delaying proxies. With MSCTL_TEST_ALL, there are 20 runs; otherwise, three.
func TestMachines(t *testing.T) {
	t.Log(testenv.InNewNetwork(t, func() {
		dir := t.TempDir()
		mix := "messages:\n  - {pattern: cmd=work, weight: 3, data: {n: \"{{seq}}\", id: \"{{uuid}}\"}}\n  - {pattern: cmd=other, data: {n: \"{{seq}}\", x: \"{{int 1 1000}}\"}}\n"
		if err := os.WriteFile(filepath.Join(dir, "mix.yaml"), []byte(mix), 0o600); err != nil {
			t.Fatal(err)
		}
		ways := logins(t)
		for name, forms := range machineForms(dir) {
			t.Run(name, func(t *testing.T) {
				startServer(t, append(ways[name].lines, "listen: 0.0.0.0:"+serverPort)...)
				f := emptyFleet(t, ways[name].url, 4)
				var machines []*machine
				for i, path := range []struct{ delay, jitter, ahead, clock time.Duration }{
					{0, 0, 0, 0},
					{time.Millisecond, 0, 120 * time.Second, 37 * time.Second},
					{2 * time.Millisecond, time.Millisecond, -120 * time.Second, 120 * time.Second},
					{5 * time.Millisecond, 2 * time.Millisecond, 61 * time.Second, -120 * time.Second},
				} {
					machines = append(machines, startMachine(t, f, i, machineConfig{Ahead: path.ahead, Delay: path.delay, Jitter: path.jitter}, path.clock))
				}
				for form, set := range forms {
					t.Run(form, func(t *testing.T) { checkMachines(t, f, machines, form, set) })
				}
				if name == "credentials" {
					t.Run("live", func(t *testing.T) { checkChange(t, f, machines) })
				}
			})
		}
	}))
}

// checkMachines makes a run and compares it with all of its requests, and with a run of one process.
func checkMachines(t *testing.T, f *fleet, machines []*machine, form string, set [][2]string) {
	t.Helper()
	many, one := serveAt(t, net.JoinHostPort(testenv.OwnIP, "0")), serveAt(t, net.JoinHostPort(testenv.OwnIP, "0"))
	b := settings{args: []string{"cmd=work", "n:={{seq}}", "id={{uuid}}", "x:={{int 1 1000}}"}}
	for _, s := range set {
		if s[0] == "scenario" {
			b.scenario = s[1]
		} else {
			b.set = append(b.set, s)
		}
	}
	b.to = many.address
	r := f.mustRun(t, b, nil)
	var list []load.Request
	starts := map[string]start{}
	for _, m := range machines {
		requests, clocks := m.noted(t)
		for _, n := range requests {
			list = append(list, *n.Request)
		}
		starts[m.Name] = m.check(t, f, r, requests, clocks)
	}
	if diff := gocmp.Diff(ofRaw(t, list), ofRun(r)); diff != "" {
		t.Errorf("sums of the raw requests (-) and of the report (+):\n%s", diff)
	}
	closed := r.Users > 0
	checkStarts(t, starts)
	if len(r.Faults) == 0 && b.scenario == "" && r.Warmup == 0 { // a request arrives once, with its number
		t.Logf("the first requests of the agents are up to %s apart from when they were due", firstSpread(starts, many, f.latest.epoch, closed))
	}
	if form == "think" { // how many requests there are depends on how long each takes
		return
	}
	b.to = one.address
	single := (*fleet)(nil).mustRun(t, b, nil)
	if single.Outcomes["shed"] > 0 || r.Outcomes["shed"] > 0 {
		t.Skip("this machine is too busy to compare the requests")
	}
	if r.Offered != single.Offered {
		t.Errorf("the agents offered %d requests, and one process %d", r.Offered, single.Offered)
	}
	got, want := slices.Compact(many.received()), slices.Compact(one.received()) // a retry is the same request
	if len(r.Faults) == 0 && !slices.Equal(got, want) {
		t.Errorf("requests of one process (-) and of the agents (+):\n%s", gocmp.Diff(want, got))
	}
	t.Logf("%d requests, %d of them distinct at the service", r.Offered, len(got))
}

// start is what is known about the start of an agent.
type start struct {
	first  noted         // its first request
	offset time.Duration // the true one of its clock
	read   time.Duration // the one it measured
}

// check compares the agent's clock with that of the coordinator, whose bound is in the report.
func (m *machine) check(t *testing.T, f *fleet, r *benchreport.Run, requests, clocks []noted) start {
	t.Helper()
	if len(requests) == 0 || len(clocks) == 0 {
		t.Fatalf("%s made %d requests and compared the clocks %d times", m.Name, len(requests), len(clocks))
	}
	i := slices.IndexFunc(r.Agents, func(a benchreport.Agent) bool { return strings.HasPrefix(a.Name, m.Name+"/") })
	if i < 0 {
		t.Fatalf("the report does not mention %s", m.Name)
	}
	bound := r.Agents[i].ClockError
	offset := clocks[0].Epoch - m.clock - monotonic(f.latest.epoch)
	if wrong := (clocks[0].Offset - offset).Abs(); wrong > bound || bound > 50*time.Millisecond {
		t.Errorf("%s: the offset %s is %s off, and the bound is %s", m.Name, offset, wrong, bound)
	} else {
		t.Logf("%s: offset %s, %s off, bound %s", m.Name, offset, wrong, bound)
	}
	first := slices.MinFunc(requests, func(a, b noted) int { return cmp.Compare(a.Due, b.Due) })
	return start{first, offset, clocks[0].Offset}
}

// checkStarts checks how far apart the agents start by their clocks.
func checkStarts(t *testing.T, starts map[string]start) {
	t.Helper()
	var begins []time.Duration
	for _, one := range starts {
		begins = append(begins, one.offset-one.read)
	}
	spread := slices.Max(begins) - slices.Min(begins)
	if spread > 5*time.Millisecond {
		t.Errorf("the agents start up to %s apart", spread)
	}
	t.Logf("the agents start up to %s apart", spread)
}

// firstSpread returns how far apart the agents' first requests are: when they were sent by users, or arrived after they were
// due. It is not checked because it depends on how busy the machine is.
func firstSpread(starts map[string]start, s *service, epoch time.Time, closed bool) time.Duration {
	var firsts []time.Duration
	for _, one := range starts {
		if closed { // the intended starts are the real ones
			firsts = append(firsts, one.first.Due+one.offset)
		} else if at, ok := s.arrival(one.first.Request.Seq); ok {
			firsts = append(firsts, at.Sub(epoch)-one.first.Due-one.read)
		}
	}
	return slices.Max(firsts) - slices.Min(firsts)
}

// checkChange raises the rate of a run, and checks how far apart the agents are when they begin to send at the new one.
func checkChange(t *testing.T, f *fleet, machines []*machine) {
	t.Helper()
	s := serveAt(t, net.JoinHostPort(testenv.OwnIP, "0"))
	b := settings{to: s.address, args: []string{"cmd=work", "n:={{seq}}", "id={{uuid}}"}, set: [][2]string{{"rate", "40/s"}, {"duration", "3s"}}}
	r := f.mustRun(t, b, func(run *bench.Run) {
		when(run, time.Second, func() {
			if err := run.SetRate(2000); err != nil {
				t.Error(err)
			}
		})
	})
	var intended, arrivals []time.Duration
	for _, m := range machines {
		requests, clocks := m.noted(t)
		slices.SortFunc(requests, func(a, b noted) int { return cmp.Compare(a.Due, b.Due) })
		offset := m.check(t, f, r, requests, clocks).offset
		for i, q := range requests[1:] {
			if q.Due-requests[i].Due > 10*time.Millisecond { // 100 ms at the rate before, and 2 ms after
				continue
			}
			intended = append(intended, q.Due+offset)
			if at, ok := s.arrival(q.Request.Seq); ok {
				arrivals = append(arrivals, at.Sub(f.latest.epoch))
			}
			break
		}
	}
	if len(intended) != len(machines) {
		t.Fatalf("%d agents changed their rate", len(intended))
	}
	spread := slices.Max(intended) - slices.Min(intended)
	if spread > 50*time.Millisecond {
		t.Errorf("the agents changed their rate up to %s apart", spread)
	}
	if len(arrivals) == len(machines) {
		t.Logf("the agents changed their rate up to %s apart; the first requests arrived up to %s apart", spread, slices.Max(arrivals)-slices.Min(arrivals))
	}
}

// arrival returns when a request was received for the first time.
func (s *service) arrival(seq uint64) (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, data := range s.data {
		if strings.Contains(data, fmt.Sprintf(`"n":%d,`, seq)) {
			return s.at[i], true
		}
	}
	return time.Time{}, false
}
