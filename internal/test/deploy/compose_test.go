package deploy

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// composeVariables are those of .env.
func composeVariables() map[string]string {
	return map[string]string{"RABBITMQ_PASSWORD": "r", "REDIS_PASSWORD": "r", "NATS_PASSWORD": "n", "SMTP_URL": "log:"}
}

// TestCompose also checks the file with a service on each transport added later.
func TestCompose(t *testing.T) {
	for _, s := range samples() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			dir := workspace(t, s.args...)
			for _, added := range []string{"", "later", "later-mail:rabbitmq", "later-audit:nats"} {
				if added != "" {
					msctl(t, dir, "new", "service", added)
				}
				for _, problem := range checkCompose(t.Context(), read(t, dir)["compose.yaml"], composeVariables()) {
					t.Errorf("with %q: %s", added, problem)
				}
			}
		})
	}
}

// TestComposeMistakes checks that each check of compose.yaml finds its mistake.
func TestComposeMistakes(t *testing.T) {
	text := read(t, workspace(t, "--example", "notifications"))["compose.yaml"]
	for _, m := range []struct{ old, new, want string }{
		{"    environment:\n", "    environ:\n", "services.rabbitmq.environ"},
		{"      rabbitmq:\n        condition", "      rabbit:\n        condition", `depends on undefined service "rabbit"`},
		{"      - rabbitmq:/var", "      - rabbit:/var", "undefined volume rabbit"},
		{"  secrets: [principal]", "  secrets: [principals]", "undefined secret principals"},
		{"  networks: [inside]\n", "  networks: [within]\n", "undefined network within"},
		{"    interval: 10s", "    interval: 10 s", "interval"},
		{`"3001:3001"`, `"3001:300100"`, "Invalid containerPort: 300100"},
		{"      - items:/data\n", "      - items:/data\n    depends_on:\n      orders:\n        condition: service_healthy\n", "dependency cycle detected"},
		{"    image: rabbitmq:4.1\n", "", "neither an image nor a build context"},
		{"${RABBITMQ_PASSWORD:?", "${RABBIT_PASSWORD:?", "required variable RABBIT_PASSWORD is missing"},
		{"    test: [\"CMD\", \"/service\", \"health\"]\n", "", "items has no health check"},
		{"        condition: service_healthy", "        condition: service_started", "orders does not wait until rabbitmq is healthy"},
		{"  read_only: true\n", "", "items has a writable root file system"},
		{"  cap_drop: [ALL]\n", "", "items has capabilities"},
		{"no-new-privileges:true", "no-new-privileges:false", "items may gain privileges"},
		{"/run/secrets/principal", "/run/secrets/principals", "items does not have the secret that PRINCIPAL_SECRET_FILE names"},
		{`"127.0.0.1:5672:5672"`, `"5672:5672"`, "rabbitmq publishes its port 5672"},
		{"    internal: true", "    internal: false", "items is on the network inside, which is not internal"},
		{"tcp://items:3002", "tcp://items:3003", "orders: ITEMS_URL is items:3003, and no service has this address"},
		{"        SERVICE: gateway\n    networks: [inside, outside]", "        SERVICE: gateway\n    networks: [outside]", "gateway and items have no common network"},
	} {
		t.Run(m.want, func(t *testing.T) {
			seeded := strings.Replace(text, m.old, m.new, 1)
			if seeded == text {
				t.Fatalf("compose.yaml does not contain %q", m.old)
			}
			if problems := fmt.Sprint(checkCompose(context.Background(), seeded, composeVariables())); !strings.Contains(problems, m.want) {
				t.Errorf("got %s", problems)
			}
		})
	}
}

func TestDockerfile(t *testing.T) {
	text := read(t, workspace(t))["Dockerfile"]
	for _, problem := range checkDockerfile(text) {
		t.Error(problem)
	}
	for _, m := range []struct{ old, new, want string }{
		{"COPY . .", "COPPY . .", "unknown instruction: COPPY (did you mean COPY?)"},
		{"--mount=type=cache", "--mounts=type=cache", "unknown flag: --mounts (did you mean mount?)"},
		{"COPY --from=build", "COPY --form=build", "unknown flag: --form (did you mean from?)"},
		{"USER 65532:65532\n", "", "the last stage runs as root"},
		{"USER 65532:65532\n", "USER root\n", "the last stage runs as root"},
		{"ARG SERVICE\n", "ARG SERVICE\nARG NPM_TOKEN\n", "NPM_TOKEN would be part of the image"},
		{"GOGC=400", "GOGC=400 AUTH_SECRET=x", "AUTH_SECRET would be part of the image"},
		{`ENTRYPOINT ["/service"]`, "ENTRYPOINT /service", "ENTRYPOINT requires a shell"},
		{`CMD ["/service", "health"]`, "CMD /service health", "HEALTHCHECK requires a shell"},
		{`ENTRYPOINT ["/service"]`, "", "no ENTRYPOINT or no HEALTHCHECK"},
		{"FROM golang:1.26", "FROM golang", "the image golang has neither a tag nor a digest"},
		{"digest", "sum", "the image golang:1.26 has no digest, and no comment explains it"},
	} {
		t.Run(m.want, func(t *testing.T) {
			seeded := strings.ReplaceAll(text, m.old, m.new)
			if seeded == text {
				t.Fatalf("the Dockerfile does not contain %q", m.old)
			}
			if problems := fmt.Sprint(checkDockerfile(seeded)); !strings.Contains(problems, m.want) {
				t.Errorf("got %s", problems)
			}
		})
	}
}
