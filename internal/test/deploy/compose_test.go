package deploy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// composeVariables are those of .env. None is required.
func composeVariables() map[string]string { return nil }

// TestCompose also checks the file with a service on each transport added later.
func TestCompose(t *testing.T) {
	for _, s := range samples() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			dir := s.workspace(t)
			for _, added := range []string{"", "later", "later-mail:rabbitmq", "later-audit:nats"} {
				if added != "" {
					msctl(t, dir, "new", "service", added)
				}
				files := read(t, dir)
				for _, problem := range checkCompose(t.Context(), files["compose.yaml"], composeVariables()) {
					t.Errorf("with %q: %s", added, problem)
				}
				if dev := files["compose.dev.yaml"]; dev != "" {
					for _, problem := range checkPublished(t.Context(), composeVariables(), files["compose.yaml"], dev) {
						t.Errorf("with %q: %s", added, problem)
					}
				} else if strings.Contains(files["compose.yaml"], "profiles:") {
					t.Errorf("with %q: there is no compose.dev.yaml", added)
				}
				if project, err := loadCompose(t.Context(), composeVariables(), "", files["compose.yaml"]); err != nil {
					t.Errorf("with %q, without profiles: %v", added, err)
				} else if names := project.ServiceNames(); slices.ContainsFunc(names, func(name string) bool { return project.Services[name].Build == nil }) {
					t.Errorf("with %q, without profiles: %s", added, names)
				}
			}
		})
	}
}

// TestComposeMistakes checks that each check of compose.yaml finds its mistake.
func TestComposeMistakes(t *testing.T) {
	text := read(t, sample{args: []string{"--example", "notifications"}, web: true}.workspace(t))["compose.yaml"]
	for _, m := range []struct{ old, new, want string }{
		{"    environment:\n", "    environ:\n", "services.rabbitmq.environ"},
		{"      rabbitmq:\n        condition", "      rabbit:\n        condition", `depends on undefined service "rabbit"`},
		{"      - rabbitmq:/var", "      - rabbit:/var", "undefined volume rabbit"},
		{"    secrets: [principal]", "    secrets: [principals]", "undefined secret principals"},
		{"  networks: [inside]\n", "  networks: [within]\n", "undefined network within"},
		{"    interval: 10s", "    interval: 10 s", "interval"},
		{`"3001:3001"`, `"3001:300100"`, "Invalid containerPort: 300100"},
		{"      - items:/data\n", "      - items:/data\n    depends_on:\n      orders:\n        condition: service_healthy\n", "dependency cycle detected"},
		{"    image: rabbitmq:4.1\n", "", "neither an image nor a build context"},
		{"RABBITMQ_URL: amqp://app@", "RABBITMQ_URL: amqp://app:hunter2@", "orders: the secret RABBITMQ_URL is not in a file"},
		{"    environment:\n      RABBITMQ_DEFAULT_USER: app\n", "    environment:\n      RABBITMQ_DEFAULT_PASS: app\n      A_TOKEN: x\n", "rabbitmq: the secret A_TOKEN is not in a file"},
		{"cat /run/secrets/rabbitmq", "cat /run/secrets/other", "rabbitmq does not read its secret /run/secrets/rabbitmq"},
		{"      SMTP_URL_FILE: /run/secrets/smtp\n", "", "notifications does not read its secret /run/secrets/smtp"},
		{"file: ./secrets/auth", "file: ./auth", "the secret auth is not in a file of the folder secrets"},
		{"      PRINCIPAL_SECRET_FILE: /run/secrets/principal\n", "", "items does not have PRINCIPAL_SECRET_FILE"},
		{"        required: false\n", "", "orders requires rabbitmq: true, but whether it has a profile is true"},
		{"    profiles: [rabbitmq]\n", "", "rabbitmq has the profiles []"},
		{"    image: rabbitmq:4.1\n    profiles: [rabbitmq]\n    restart: unless-stopped\n    networks: [inside]", "    image: rabbitmq:4.1\n    profiles: [rabbitmq]\n    restart: unless-stopped\n    networks: [inside, outside]", "rabbitmq is on the network outside, which is not internal"},
		{"http://gateway:3001", "http://gateway:80", "web: GATEWAY_URL is gateway:80, and no service has this address"},
		{"    build: ./apps/web\n    restart: unless-stopped\n    read_only: true\n", "    build: ./apps/web\n    restart: unless-stopped\n", "web has a writable root file system"},
		{"    test: [\"CMD\", \"/service\", \"health\"]\n", "", "items has no health check"},
		{"        condition: service_healthy", "        condition: service_started", "orders does not wait until rabbitmq is healthy"},
		{"  read_only: true\n", "", "items has a writable root file system"},
		{"  cap_drop: [ALL]\n", "", "items has capabilities"},
		{"no-new-privileges:true", "no-new-privileges:false", "items may gain privileges"},
		{"PRINCIPAL_SECRET_FILE: /run/secrets/principal", "PRINCIPAL_SECRET_FILE: /run/secrets/principals", "items does not have the secret that PRINCIPAL_SECRET_FILE names"},
		{"    hostname: rabbitmq", "    ports: [\"127.0.0.1:5672:5672\"]\n    hostname: rabbitmq", "rabbitmq publishes its port 5672"},
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

// TestPublishedMistakes checks that each check of compose.dev.yaml finds its mistake.
func TestPublishedMistakes(t *testing.T) {
	files := read(t, workspace(t, "--service", "mail:rabbitmq"))
	for _, m := range []struct{ old, new, want string }{
		{"127.0.0.1:", "", "rabbitmq does not publish its port for this machine only"},
		{"    networks: [outside]\n", "", "rabbitmq is only on internal networks"},
		{"  rabbitmq:", "  rabbit:", "neither an image nor a build context"},
	} {
		dev := seed(t, files["compose.dev.yaml"], m.old, m.new)
		if problems := fmt.Sprint(checkPublished(t.Context(), composeVariables(), files["compose.yaml"], dev)); !strings.Contains(problems, m.want) {
			t.Errorf("got %s, want %s", problems, m.want)
		}
	}
}

// TestWebDockerfile checks the image of the web client, and what the files that it needs are called.
func TestWebDockerfile(t *testing.T) {
	files := read(t, sample{web: true}.workspace(t))
	text := files["apps/web/Dockerfile"]
	for _, problem := range checkDockerfile(text) {
		t.Error(problem)
	}
	for _, name := range []string{"apps/web/.npmrc", "apps/web/package-lock.json", "apps/web/health.mjs"} {
		if files[name] == "" || !strings.Contains(text, name[strings.LastIndex(name, "/")+1:]) {
			t.Errorf("%s does not exist, or is not in the image", name)
		}
	}
	for _, ignored := range []string{"node_modules", ".next", ".env*"} {
		if !strings.Contains(files["apps/web/.dockerignore"], "\n"+ignored+"\n") {
			t.Errorf("%s gets into the image", ignored)
		}
	}
	if !strings.Contains(files[".dockerignore"], "\napps/web\n") {
		t.Error("the web client gets into the images of other programs")
	}
	for _, m := range []struct{ old, new, want string }{
		{"USER 65532:65532\n", "", "the last stage runs as root"},
		{"FROM gcr.io/distroless/nodejs24-debian12:nonroot", "FROM gcr.io/distroless/nodejs24-debian12", "has neither a tag nor a digest"},
		{`CMD ["/nodejs/bin/node", "health.mjs"]`, "CMD node health.mjs", "HEALTHCHECK requires a shell"},
		{"NODE_ENV=production", "NODE_ENV=production API_TOKEN=x", "API_TOKEN would be part of the image"},
	} {
		if problems := fmt.Sprint(checkDockerfile(seed(t, text, m.old, m.new))); !strings.Contains(problems, m.want) {
			t.Errorf("with %q, got %s", m.new, problems)
		}
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
