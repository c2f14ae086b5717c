package deploy

import (
	"fmt"
	"maps"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	base       = "deploy/kubernetes/base"
	dev        = "deploy/kubernetes/overlays/dev"
	production = "deploy/kubernetes/overlays/production"
)

// check returns the problems of the manifests of a workspace.
func check(files map[string]string) (problems []string) {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if path.Dir(name) == base && path.Base(name) != "kustomization.yaml" {
			_, found := decode(split(files[name])) // before kustomize drops duplicate fields
			problems = append(problems, found...)
		}
	}
	for _, overlay := range []string{dev, production} {
		documents, err := build(files, overlay)
		if err != nil {
			problems = append(problems, err.Error())
			continue
		}
		all, found := decode(documents)
		external := externalSecrets(files[overlay+"/kustomization.yaml"])
		for _, p := range slices.Concat(found, all.restricted(), all.agree(external), all.connections()) {
			problems = append(problems, path.Base(overlay)+": "+p)
		}
	}
	return problems
}

func TestManifests(t *testing.T) {
	for _, s := range samples() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			for _, problem := range check(read(t, s.workspace(t))) {
				t.Error(problem)
			}
		})
	}
}

// TestKubectl compares kubectl's kustomize with the library.
func TestKubectl(t *testing.T) {
	if _, err := exec.LookPath("kubectl"); err != nil {
		t.Skip("kubectl is not installed")
	}
	dir := workspace(t)
	for _, overlay := range []string{dev, production} {
		out, err := exec.CommandContext(t.Context(), "kubectl", "kustomize", filepath.Join(dir, filepath.FromSlash(overlay))).Output()
		if err != nil {
			t.Fatalf("kubectl kustomize: %v", err)
		}
		want, err := build(read(t, dir), overlay)
		if err != nil {
			t.Fatal(err)
		}
		got := split(strings.TrimSuffix(string(out), "\n"))
		for i := range want {
			want[i] = strings.TrimSuffix(want[i], "\n")
		}
		slices.Sort(want) // kubectl writes another order
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-library +kubectl):\n%s", overlay, diff)
		}
	}
}

// TestSeededMistakes checks that each check finds its mistake.
func TestSeededMistakes(t *testing.T) {
	files := read(t, sample{args: []string{"--service", "items", "--service", "orders", "--service", "pay", "--service", "mail:rabbitmq"}, web: true}.workspace(t))
	if problems := check(files); problems != nil {
		t.Fatal(problems)
	}
	const pay, gateway, web, network, prod = base + "/pay.yaml", base + "/gateway.yaml", base + "/web.yaml", base + "/network.yaml", production + "/kustomization.yaml"
	for _, m := range []struct{ file, old, new, want string }{
		{pay, "readOnlyRootFilesystem:", "readonlyRootFilesystem:", `unknown field "spec.template.spec.containers[0].securityContext.readonlyRootFilesystem"`},
		{pay, "      serviceAccountName: pay\n", "      serviceAccountName: pay\n      serviceAccountName: pay\n", `key "serviceAccountName" already set`},
		{pay, "memory: 64Mi", "memory: 64Megabytes", "quantities must match the regular expression"},
		{pay, "containerPort: 3004", `containerPort: "3004"`, "cannot unmarshal string"},
		{pay, "apiVersion: apps/v1\n", "apiVersion: apps/v1beta1\n", "no kind \"Deployment\" is registered for version \"apps/v1beta1\""},
		{pay, "apiVersion: v1\nkind: ServiceAccount\n", "apiVersion: v1\nkind: Pod\nmetadata: {name: pay}\n---\napiVersion: v1\nkind: ServiceAccount\n", "v1/Pod is not an allowed kind"},
		{pay, "runAsNonRoot: true", "runAsNonRoot: false", "runAsNonRoot"},
		{pay, "drop: [ALL]", "drop: [NET_RAW]", "unrestricted capabilities"},
		{pay, "        seccompProfile:\n          type: RuntimeDefault\n", "", "seccompProfile"},
		{pay, "      enableServiceLinks: false\n", "      enableServiceLinks: false\n      hostNetwork: true\n", "host namespaces"},
		{pay, "allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true", "allowPrivilegeEscalation"},
		{base + "/kustomization.yaml", "resources:", "resource:", `unknown field "resource"`},
		{base + "/kustomization.yaml", "  - pay.yaml\n", "", "no Service has this address"},
		{base + "/kustomization.yaml", "includeTemplates", "includeTemplate", `unknown field "includeTemplate"`},
		{prod, "../../base", "../../bases", "kustomize:"},
		{prod, "behavior: merge", "behavior: replaced", "kustomize:"},
		{prod, "  - name: shop-pay\n    newName: registry.example/shop-pay\n    newTag: 0.1.0\n", "", "production: pay: the image shop-pay has neither a tag nor a digest"},
		{prod, "secret generic principal", "secret generic principals", "production: pay: there is no Secret principal"},
		{prod, "secret tls gateway-tls", "secret tls gateway", "production: Ingress gateway: there is no Secret gateway-tls"},
		{prod, "path: /spec/tls/0/hosts/0\n        value: shop", "path: /spec/tls/0/hosts/0\n        value: shops", "no certificate for the host shop.example"},
		{pay, "  selector:\n    matchLabels:\n      app.kubernetes.io/name: pay\n  template", "  selector:\n    matchLabels:\n      app.kubernetes.io/name: pays\n  template", "pay: the selector does not match the labels of its pods"},
		{pay, "  selector:\n    matchLabels:\n      app.kubernetes.io/name: pay\n  template", "  selector:\n    matchLabels:\n      app.kubernetes.io/part-of: shop\n  template", "pay: the selector matches the pods of"},
		{pay, "          labelSelector:\n            matchLabels:\n              app.kubernetes.io/name: pay", "          labelSelector:\n            matchLabels:\n              app.kubernetes.io/name: items", "topology spread constraint does not match"},
		{pay, "              port: private", "              port: message", "probe uses the port message, which the container does not have"},
		{pay, "          livenessProbe:\n            httpGet:\n              path: /live\n              port: private\n            timeoutSeconds: 5\n", "", "pay: no liveness probe"},
		{pay, "              cpu: 250m\n", "", "requests for CPU and memory"},
		{pay, "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "the root file system is writable"},
		{pay, "terminationGracePeriodSeconds: 30", "terminationGracePeriodSeconds: 16", "exceed the termination grace period"},
		{pay, "      automountServiceAccountToken: false\n", "", "pay: its pods get a token"},
		{pay, "serviceAccountName: pay", "serviceAccountName: pays", "there is no ServiceAccount pays"},
		{pay, "                name: settings", "                name: setting", "there is no ConfigMap setting"},
		{pay, "            - name: MS_PORT\n", "            - name: MAIL_PASSWORD\n              value: x\n            - name: MS_PORT\n", "MAIL_PASSWORD is a secret"},
		{pay, "            - name: MS_PORT\n", "            - name: MS_PORT\n              value: \"1\"\n            - name: MS_PORT\n", "MS_PORT is set twice"},
		{gateway, "value: tcp://pay:3004", "value: tcp://pay:3005", "PAY_URL is tcp://pay:3005, and no Service has this address"},
		{web, "value: http://gateway", "value: http://gateways", "GATEWAY_URL is http://gateways, and no Service has this address"},
		{web, "value: http://gateway", "value: http://gateway:3001", "GATEWAY_URL is http://gateway:3001, and no Service has this address"},
		{web, "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "web: the root file system is writable"},
		{web, "              path: /health\n              port: http\n            periodSeconds: 1", "              path: /health\n              port: private\n            periodSeconds: 1", "web: the startup probe uses the port private"},
		{network, "        - podSelector:\n            matchLabels:\n              app.kubernetes.io/name: web\n      ports:\n        - protocol: TCP\n          port: 3001", "      ports:\n        - protocol: TCP\n          port: 3001", "denied, but needed: web -> gateway:3001"},
		{prod, "secret tls web-tls", "secret tls web", "production: Ingress web: there is no Secret web-tls"},
		{pay, "      targetPort: messages", "      targetPort: http", "Service pay: pay has no port http"},
		{pay, "spec:\n  selector:\n    app.kubernetes.io/name: pay", "spec:\n  type: NodePort\n  selector:\n    app.kubernetes.io/name: pay", "Service pay is of the type NodePort"},
		{pay, "spec:\n  selector:\n    app.kubernetes.io/name: pay", "spec:\n  selector:\n    app.kubernetes.io/name: pays", "Service pay selects 0 workloads"},
		{pay, "          securityContext:\n", "          volumeMounts:\n            - {name: data, mountPath: /data}\n          securityContext:\n", "there is no volume data"},
		{pay, "      containers:\n", "      volumes:\n        - {name: data, emptyDir: {}}\n      containers:\n", "the volume data is not mounted"},
		{gateway, "                  name: http", "                  name: https", "there is no Service gateway with the port https"},
		{pay, "  maxUnavailable: 1\n  selector:\n    matchLabels:\n      app.kubernetes.io/name: pay", "  maxUnavailable: 1\n  selector:\n    matchLabels:\n      app.kubernetes.io/name: pays", "PodDisruptionBudget pay selects 0 workloads"},
		{pay, "    kind: Deployment\n    name: pay", "    kind: Deployment\n    name: pays", "HorizontalPodAutoscaler pay: there is no Deployment pays"},
		{pay, "spec:\n  strategy", "spec:\n  replicas: 1\n  strategy", "pay: it has one replica, and a PodDisruptionBudget"},
		{pay, "spec:\n  strategy", "spec:\n  replicas: 2\n  strategy", "replicas would undo"},
		{network, "name: default-deny\nspec:\n  podSelector: {}\n  policyTypes: [Ingress, Egress]", "name: default-deny\nspec:\n  podSelector: {}\n  policyTypes: [Egress]", "allowed, but not needed: everywhere -> mail:0"},
		{network, "kubernetes.io/metadata.name: ingress-nginx", "kubernetes.io/metadata.name: other", "denied, but needed: ingress-nginx -> gateway:3001"},
		{network, "          port: 3004", "          port: 3005", "denied, but needed: gateway -> pay:3004"},
		{network, "    - from:\n        - podSelector:\n            matchLabels:\n              app.kubernetes.io/name: gateway\n      ports:\n        - protocol: TCP\n          port: 3004", "    - from:\n        - podSelector: {}\n        - ipBlock: {cidr: 0.0.0.0/0}\n      ports:\n        - protocol: TCP\n          port: 3004", "allowed, but not needed: 0.0.0.0/0 -> pay:3004"},
		{network, "          port: 5672", "          port: 5673", "allowed, but not needed: mail -> outside:5673"},
		{network, "k8s-app: kube-dns", "k8s-app: coredns", "denied, but needed: pay -> DNS:53"},
	} {
		t.Run(m.want, func(t *testing.T) {
			seeded := maps.Clone(files)
			if seeded[m.file] = strings.Replace(files[m.file], m.old, m.new, 1); seeded[m.file] == files[m.file] {
				t.Fatalf("%s does not contain %q:\n%s", m.file, m.old, files[m.file])
			}
			problems := fmt.Sprint(check(seeded))
			if !strings.Contains(problems, m.want) {
				t.Errorf("got %s", problems)
			}
		})
	}
}
