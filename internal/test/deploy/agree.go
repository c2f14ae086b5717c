package deploy

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// drainSeconds is how long a program finishes its requests: the drain timeout, and the gateway's grace before it.
const drainSeconds = 11

// agreement collects where objects do not agree with each other.
type agreement struct {
	objects
	external []string // "Secret/name" of those that are created elsewhere
	problems []string
}

// agree checks that what the objects name exists.
func (o objects) agree(external []string) []string {
	a := &agreement{objects: o, external: external}
	for _, w := range o.workloads {
		a.workload(w)
		a.settings(w)
		a.volumes(w)
	}
	a.serviceTargets()
	a.ingressTargets()
	a.replicas()
	return a.problems
}

func (a *agreement) problem(format string, args ...any) {
	a.problems = append(a.problems, fmt.Sprintf(format, args...))
}

func matches(selector *metav1.LabelSelector, of map[string]string) bool {
	s, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && !s.Empty() && s.Matches(labels.Set(of))
}

// workload checks a workload by itself.
func (a *agreement) workload(w workload) {
	pod := w.pod()
	if !matches(w.selector, w.template.Labels) {
		a.problem("%s: the selector does not match the labels of its pods", w.name)
	}
	for _, other := range a.workloads {
		if other.name != w.name && matches(w.selector, other.template.Labels) {
			a.problem("%s: the selector matches the pods of %s", w.name, other.name)
		}
	}
	for _, spread := range pod.TopologySpreadConstraints {
		if !matches(spread.LabelSelector, w.template.Labels) {
			a.problem("%s: the selector of a topology spread constraint does not match its pods", w.name)
		}
	}
	a.account(w)
	for _, c := range pod.Containers {
		a.image(w, c)
		a.probes(w, c)
		if c.Resources.Requests.Cpu().IsZero() || c.Resources.Requests.Memory().IsZero() || c.Resources.Limits.Memory().IsZero() {
			a.problem("%s: requests for CPU and memory and a limit for memory are required", w.name)
		}
		if c.SecurityContext == nil || c.SecurityContext.ReadOnlyRootFilesystem == nil || !*c.SecurityContext.ReadOnlyRootFilesystem {
			a.problem("%s: the root file system is writable", w.name)
		}
		pause := int64(0)
		if l := c.Lifecycle; l != nil && l.PreStop != nil && l.PreStop.Sleep != nil {
			pause = l.PreStop.Sleep.Seconds
		}
		if grace := pod.TerminationGracePeriodSeconds; pause == 0 || grace == nil || *grace <= pause+drainSeconds {
			a.problem("%s: the pause of %d s and the drain of %d s exceed the termination grace period", w.name, pause, drainSeconds)
		}
	}
}

func (a *agreement) account(w workload) {
	pod := w.pod()
	if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
		a.problem("%s: its pods get a token of the API server", w.name)
	}
	if !a.named["ServiceAccount/"+pod.ServiceAccountName] {
		a.problem("%s: there is no ServiceAccount %s", w.name, pod.ServiceAccountName)
	}
}

func (a *agreement) image(w workload, c corev1.Container) {
	_, last, found := strings.Cut(c.Image[strings.LastIndex(c.Image, "/")+1:], ":")
	if !found || last == "latest" {
		a.problem("%s: the image %s has neither a tag nor a digest", w.name, c.Image)
	}
}

func (a *agreement) probes(w workload, c corev1.Container) {
	for name, probe := range map[string]*corev1.Probe{"startup": c.StartupProbe, "liveness": c.LivenessProbe, "readiness": c.ReadinessProbe} {
		if probe == nil {
			if len(c.Ports) > 0 {
				a.problem("%s: no %s probe", w.name, name)
			}
			continue
		}
		var port intstr.IntOrString
		switch {
		case probe.HTTPGet != nil:
			port = probe.HTTPGet.Port
		case probe.TCPSocket != nil:
			port = probe.TCPSocket.Port
		}
		if portOf(c, port) == 0 {
			a.problem("%s: the %s probe uses the port %s, which the container does not have", w.name, name, port.String())
		}
	}
}

// portOf returns the number of a container's port, or 0 if it does not have it.
func portOf(c corev1.Container, port intstr.IntOrString) int32 {
	for _, p := range c.Ports {
		if port.Type == intstr.String && p.Name == port.StrVal || port.Type == intstr.Int && p.ContainerPort == port.IntVal {
			return p.ContainerPort
		}
	}
	return 0
}

// address matches the address of a program of the workspace, with a port unless that is 80.
var address = regexp.MustCompile(`^(?:tcp|http)://([a-z0-9-]+)(?::(\d+))?$`)

// private matches the names of variables that contain secrets.
var private = regexp.MustCompile(`SECRET|PASSWORD|TOKEN|_KEY|^(RABBITMQ|REDIS|NATS|DATABASE|SMTP)_URL$`)

// settings checks the environment of a workload.
func (a *agreement) settings(w workload) {
	for _, c := range w.pod().Containers {
		for _, from := range c.EnvFrom {
			if from.ConfigMapRef != nil {
				a.exists(w, "ConfigMap", from.ConfigMapRef.Name)
			}
			if from.SecretRef != nil {
				a.exists(w, "Secret", from.SecretRef.Name)
			}
		}
		seen := map[string]bool{}
		for _, e := range c.Env {
			if seen[e.Name] {
				a.problem("%s: %s is set twice", w.name, e.Name)
			}
			seen[e.Name] = true
			if private.MatchString(e.Name) && e.ValueFrom == nil {
				a.problem("%s: %s is a secret and must come from a Secret", w.name, e.Name)
			}
			if f := e.ValueFrom; f != nil && f.SecretKeyRef != nil && (f.SecretKeyRef.Optional == nil || !*f.SecretKeyRef.Optional) {
				a.exists(w, "Secret", f.SecretKeyRef.Name)
			}
			if found := address.FindStringSubmatch(e.Value); found != nil && !a.serves(found[1], cmp.Or(found[2], "80")) {
				a.problem("%s: %s is %s, and no Service has this address", w.name, e.Name, e.Value)
			}
		}
	}
}

func (a *agreement) exists(w workload, kind, name string) {
	if !a.named[kind+"/"+name] && !slices.Contains(a.external, kind+"/"+name) {
		a.problem("%s: there is no %s %s", w.name, kind, name)
	}
}

func (a *agreement) serves(host, port string) bool {
	return slices.ContainsFunc(a.services, func(s *corev1.Service) bool {
		return s.Name == host && slices.ContainsFunc(s.Spec.Ports, func(p corev1.ServicePort) bool { return fmt.Sprint(p.Port) == port })
	})
}

func (a *agreement) volumes(w workload) {
	known := map[string]bool{}
	for _, v := range w.pod().Volumes {
		known[v.Name] = true
		if v.Secret != nil {
			a.exists(w, "Secret", v.Secret.SecretName)
		}
		if v.PersistentVolumeClaim != nil {
			a.exists(w, "PersistentVolumeClaim", v.PersistentVolumeClaim.ClaimName)
		}
	}
	for _, c := range w.claims {
		known[c.Name] = true
	}
	mounted := map[string]bool{}
	for _, c := range w.pod().Containers {
		for _, m := range c.VolumeMounts {
			mounted[m.Name] = true
			if !known[m.Name] {
				a.problem("%s: there is no volume %s", w.name, m.Name)
			}
		}
	}
	for name := range known {
		if !mounted[name] {
			a.problem("%s: the volume %s is not mounted", w.name, name)
		}
	}
	if w.kind == "StatefulSet" && !a.named["Service/"+w.service] {
		a.problem("%s: there is no Service %s", w.name, w.service)
	}
}

// selected returns the workloads whose pods have the labels.
func (o objects) selected(selector map[string]string) []workload {
	return slices.DeleteFunc(slices.Clone(o.workloads), func(w workload) bool {
		return len(selector) == 0 || !labels.SelectorFromSet(selector).Matches(labels.Set(w.template.Labels))
	})
}

func (a *agreement) serviceTargets() {
	for _, s := range a.services {
		targets := a.selected(s.Spec.Selector)
		if len(targets) != 1 {
			a.problem("Service %s selects %d workloads, want 1", s.Name, len(targets))
			continue
		}
		for _, p := range s.Spec.Ports {
			if portOf(targets[0].pod().Containers[0], p.TargetPort) == 0 {
				a.problem("Service %s: %s has no port %s", s.Name, targets[0].name, p.TargetPort.String())
			}
		}
		if s.Spec.Type != "" && s.Spec.Type != corev1.ServiceTypeClusterIP {
			a.problem("Service %s is of the type %s, which opens it to the outside", s.Name, s.Spec.Type)
		}
	}
}

func (a *agreement) ingressTargets() {
	for _, i := range a.ingresses {
		for _, tls := range i.Spec.TLS {
			if name := "Secret/" + tls.SecretName; !a.named[name] && !slices.Contains(a.external, name) {
				a.problem("Ingress %s: there is no Secret %s", i.Name, tls.SecretName)
			}
		}
		for _, rule := range i.Spec.Rules {
			for _, tls := range i.Spec.TLS {
				if !slices.Contains(tls.Hosts, rule.Host) {
					a.problem("Ingress %s: no certificate for the host %s", i.Name, rule.Host)
				}
			}
			for _, p := range rule.HTTP.Paths {
				found := slices.ContainsFunc(a.services, func(s *corev1.Service) bool {
					return s.Name == p.Backend.Service.Name && slices.ContainsFunc(s.Spec.Ports, func(port corev1.ServicePort) bool { return port.Name == p.Backend.Service.Port.Name })
				})
				if !found {
					a.problem("Ingress %s: there is no Service %s with the port %s", i.Name, p.Backend.Service.Name, p.Backend.Service.Port.Name)
				}
			}
		}
	}
}

// replicas checks that a workload has either one replica, or a budget and a scaler.
func (a *agreement) replicas() {
	budgets, scalers := map[string]bool{}, map[string]bool{}
	for _, b := range a.budgets {
		if targets := a.selected(b.Spec.Selector.MatchLabels); len(targets) == 1 {
			budgets[targets[0].name] = true
		} else {
			a.problem("PodDisruptionBudget %s selects %d workloads, want 1", b.Name, len(targets))
		}
	}
	for _, s := range a.scalers {
		ref := s.Spec.ScaleTargetRef
		scalers[ref.Name] = true
		if ref.APIVersion != "apps/v1" || ref.Kind != "Deployment" || !a.named["Deployment/"+ref.Name] {
			a.problem("HorizontalPodAutoscaler %s: there is no %s %s", s.Name, ref.Kind, ref.Name)
		}
	}
	for _, w := range a.workloads {
		single := w.replicas != nil && *w.replicas == 1
		switch {
		case single && (budgets[w.name] || scalers[w.name]):
			a.problem("%s: it has one replica, and a PodDisruptionBudget or a HorizontalPodAutoscaler", w.name)
		case !single && (!budgets[w.name] || !scalers[w.name]):
			a.problem("%s: it has several replicas, and no PodDisruptionBudget or no HorizontalPodAutoscaler", w.name)
		case scalers[w.name] && w.replicas != nil:
			a.problem("%s: replicas would undo what the HorizontalPodAutoscaler has set", w.name)
		}
	}
}
