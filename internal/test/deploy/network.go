package deploy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
)

// brokerPorts are the ports of what a program connects to because it has a variable.
func brokerPorts() map[string][]int32 {
	return map[string][]int32{
		"RABBITMQ_URL": {5671, 5672}, "REDIS_URL": {6379, 6380}, "NATS_URL": {4222}, "DATABASE_URL": {5432}, "SMTP_URL": {465, 587},
		"AUTH_SECRET": {443}, // the gateway, which also accepts the keys that an issuer publishes
	}
}

// connections compares the connections that the NetworkPolicies allow with those that the programs need.
func (o objects) connections() (problems []string) {
	wanted, allowed := o.needed(), o.allowed()
	for _, c := range slices.Sorted(maps.Keys(wanted)) {
		if !allowed[c] {
			problems = append(problems, "denied, but needed: "+c)
		}
	}
	for _, c := range slices.Sorted(maps.Keys(allowed)) {
		if !wanted[c] {
			problems = append(problems, "allowed, but not needed: "+c)
		}
	}
	return problems
}

func connection(from, to string, port int32) string {
	return fmt.Sprintf("%s -> %s:%d", from, to, port)
}

// needed returns the connections that follow from the programs' settings and from the Ingresses.
func (o objects) needed() map[string]bool {
	all := map[string]bool{}
	for _, w := range o.workloads {
		all[connection(w.name, "DNS", 53)] = true
		for _, e := range w.pod().Containers[0].Env {
			for _, port := range brokerPorts()[e.Name] {
				all[connection(w.name, "outside", port)] = true
			}
			if found := address.FindStringSubmatch(e.Value); found != nil {
				for _, port := range o.ports(found[1]) {
					all[connection(w.name, found[1], port)] = true
				}
			}
		}
	}
	for _, i := range o.ingresses {
		for _, rule := range i.Spec.Rules {
			for _, p := range rule.HTTP.Paths {
				for _, port := range o.ports(p.Backend.Service.Name) {
					all[connection("ingress-nginx", p.Backend.Service.Name, port)] = true
				}
			}
		}
	}
	return all
}

// ports returns the numbers of the ports of the pods behind a Service.
func (o objects) ports(service string) (list []int32) {
	for _, s := range o.services {
		if targets := o.selected(s.Spec.Selector); s.Name == service && len(targets) > 0 {
			for _, p := range s.Spec.Ports {
				list = append(list, portOf(targets[0].pod().Containers[0], p.TargetPort))
			}
		}
	}
	return list
}

// allowed returns the connections that the policies allow.
func (o objects) allowed() map[string]bool {
	all := map[string]bool{}
	for _, to := range o.workloads {
		if !o.isolated(to, networkingv1.PolicyTypeIngress) {
			all[connection("everywhere", to.name, 0)] = true
		}
		for from, port := range o.admitted(to) {
			source := slices.IndexFunc(o.workloads, func(w workload) bool { return w.name == from })
			if source < 0 || o.reaches(o.workloads[source], to, port) {
				all[connection(from, to.name, port)] = true
			}
		}
	}
	for _, from := range o.workloads {
		if !o.isolated(from, networkingv1.PolicyTypeEgress) {
			all[connection(from.name, "anywhere", 0)] = true
		}
		for _, rule := range o.egress(from) {
			for place, port := range outward(rule) {
				all[connection(from.name, place, port)] = true
			}
		}
	}
	return all
}

// isolated reports whether what no policy allows is denied.
func (o objects) isolated(w workload, direction networkingv1.PolicyType) bool {
	return slices.ContainsFunc(o.policies, func(p *networkingv1.NetworkPolicy) bool {
		return covers(p, w) && slices.Contains(p.Spec.PolicyTypes, direction)
	})
}

func covers(p *networkingv1.NetworkPolicy, w workload) bool {
	return len(p.Spec.PodSelector.MatchLabels) == 0 || matches(&p.Spec.PodSelector, w.template.Labels)
}

// admitted yields who may connect to a workload, and to which port.
func (o objects) admitted(to workload) func(func(string, int32) bool) {
	return func(yield func(string, int32) bool) {
		for _, p := range o.policies {
			if !covers(p, to) {
				continue
			}
			for _, rule := range p.Spec.Ingress {
				for _, name := range o.peers(rule.From) {
					for _, port := range numbers(rule.Ports) {
						if !yield(name, port) {
							return
						}
					}
				}
			}
		}
	}
}

// peers returns the names of workloads, and of namespaces.
func (o objects) peers(list []networkingv1.NetworkPolicyPeer) (names []string) {
	if len(list) == 0 {
		return []string{"everywhere"}
	}
	for _, peer := range list {
		switch {
		case peer.IPBlock != nil:
			names = append(names, peer.IPBlock.CIDR)
		case peer.NamespaceSelector != nil:
			names = append(names, peer.NamespaceSelector.MatchLabels["kubernetes.io/metadata.name"])
		default:
			for _, w := range o.workloads {
				if len(peer.PodSelector.MatchLabels) == 0 || matches(peer.PodSelector, w.template.Labels) {
					names = append(names, w.name)
				}
			}
		}
	}
	return names
}

func numbers(ports []networkingv1.NetworkPolicyPort) (list []int32) {
	if len(ports) == 0 {
		return []int32{0} // all of them
	}
	for _, p := range ports {
		if number := p.Port.IntVal; !slices.Contains(list, number) {
			list = append(list, number)
		}
	}
	return list
}

// egress returns the rules for the connections of a workload.
func (o objects) egress(from workload) (rules []networkingv1.NetworkPolicyEgressRule) {
	for _, p := range o.policies {
		if covers(p, from) {
			rules = append(rules, p.Spec.Egress...)
		}
	}
	return rules
}

// reaches reports whether a workload may connect to another one.
func (o objects) reaches(from, to workload, port int32) bool {
	return slices.ContainsFunc(o.egress(from), func(rule networkingv1.NetworkPolicyEgressRule) bool {
		return (len(rule.To) == 0 || slices.Contains(o.peers(rule.To), to.name)) && slices.Contains(numbers(rule.Ports), port)
	})
}

// outward yields the places outside of the namespace that a rule allows, and their ports.
func outward(rule networkingv1.NetworkPolicyEgressRule) func(func(string, int32) bool) {
	place := "outside"
	for _, peer := range rule.To {
		switch {
		case peer.NamespaceSelector == nil && peer.IPBlock == nil:
			return func(func(string, int32) bool) {} // pods of the namespace
		case peer.NamespaceSelector != nil && peer.PodSelector != nil && peer.PodSelector.MatchLabels["k8s-app"] == "kube-dns":
			place = "DNS"
		}
	}
	return func(yield func(string, int32) bool) {
		for _, port := range numbers(rule.Ports) {
			if !yield(place, port) {
				return
			}
		}
	}
}

// externalSecrets returns the Secrets that an overlay's comment tells the user to create.
func externalSecrets(overlay string) (names []string) {
	for line := range strings.Lines(overlay) {
		for _, kind := range []string{"create secret generic ", "create secret tls "} {
			if _, rest, ok := strings.Cut(line, kind); ok {
				names = append(names, "Secret/"+strings.Fields(rest)[0])
			}
		}
	}
	return names
}
