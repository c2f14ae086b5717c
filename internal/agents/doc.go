// Package agents runs one load test on many machines.
//
// The coordinator is the process of `msctl bench --agents`, and an agent that of
// `msctl bench agent`. They meet on a NATS server: an agent only dials out, and listens on no
// port. The subjects are below msctl.bench.POOL:
//
//	find             coordinator → all agents: who is there?
//	agent.ID         coordinator → one agent: signed commands
//	run.RUN.data     agent → coordinator: a piece of the plan or of a data file
//	run.RUN.clock    agent → coordinator: the time there
//	run.RUN.beat     agent → coordinator, every 250 ms: alive
//	run.RUN.report   agent → coordinator, every second and at the end: what was counted
//
// # Agreement
//
// Every process computes the whole schedule and sends its part of it, so nothing has to be
// dealt out while the load is running (load.Part). All times are those of the coordinator's
// monotonic clock; each agent measures how far its own clock is from that (clock.go).
//
// # Loss
//
// TCP does not tell a process that is stopped from one that is idle, so agents send beats.
// An agent that is silent for a second is asked; one that does not answer is named. An agent
// that has not heard from the coordinator for ten seconds stops by itself.
//
// # Trust
//
// Commands are signed with an Ed25519 key whose public half the agents know (sign.go). A
// command is valid for one pool, run, agent, and nonce of that agent, and only once. An agent
// sends load only to the addresses that its operator has allowed (allow.go). Plans contain no
// credentials: agents look them up in their own environment.
package agents
