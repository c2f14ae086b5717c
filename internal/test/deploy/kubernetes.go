package deploy

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// objects are the objects of an overlay.
type objects struct {
	configs   []*corev1.ConfigMap
	workloads []workload
	services  []*corev1.Service
	ingresses []*networkingv1.Ingress
	policies  []*networkingv1.NetworkPolicy
	budgets   []*policyv1.PodDisruptionBudget
	scalers   []*autoscalingv2.HorizontalPodAutoscaler
	accounts  []*corev1.ServiceAccount
	named     map[string]bool // "Kind/name" of all of them
}

// workload is a Deployment or a StatefulSet.
type workload struct {
	kind, name string
	replicas   *int32
	selector   *metav1.LabelSelector
	template   corev1.PodTemplateSpec
	claims     []corev1.PersistentVolumeClaim
	service    string // of a StatefulSet
}

// pod returns its pods' specification.
func (w workload) pod() corev1.PodSpec { return w.template.Spec }

// allowedKinds are the kinds that the manifests may contain, in the versions that are current.
func allowedKinds() []string {
	return []string{
		"v1/Namespace", "v1/ServiceAccount", "v1/Service", "v1/ConfigMap", "v1/Secret", "apps/v1/Deployment", "batch/v1/Job", "apps/v1/StatefulSet",
		"networking.k8s.io/v1/NetworkPolicy", "networking.k8s.io/v1/Ingress", "policy/v1/PodDisruptionBudget", "autoscaling/v2/HorizontalPodAutoscaler",
	}
}

// decoder is that of the API server, which rejects unknown and duplicate fields.
func decoder() runtime.Decoder {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{appsv1.AddToScheme, batchv1.AddToScheme, autoscalingv2.AddToScheme, corev1.AddToScheme, networkingv1.AddToScheme, policyv1.AddToScheme} {
		if err := add(scheme); err != nil {
			panic(err)
		}
	}
	return serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
}

// build returns the objects of an overlay as kustomize builds them. files are those of the workspace by path.
func build(files map[string]string, overlay string) (documents []string, err error) {
	disk := filesys.MakeFsInMemory()
	for name, text := range files {
		if !strings.HasPrefix(name, "deploy/") { // the file system rejects some of the others
			continue
		}
		if err := disk.WriteFile("/"+name, []byte(text)); err != nil {
			return nil, err
		}
	}
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(disk, "/"+overlay)
	if err != nil {
		return nil, fmt.Errorf("kustomize: %w", err)
	}
	for _, r := range resources.Resources() {
		text, err := r.AsYAML()
		if err != nil {
			return nil, err
		}
		documents = append(documents, string(text))
	}
	return documents, nil
}

// split returns the documents of a YAML file.
func split(text string) []string { return strings.Split(text, "\n---\n") }

// decode decodes documents strictly.
func decode(documents []string) (objects, []string) {
	o, d := objects{named: map[string]bool{}}, decoder()
	var problems []string
	for _, text := range documents {
		object, kind, err := d.Decode([]byte(text), nil, nil)
		if err != nil {
			problems = append(problems, err.Error())
			continue
		}
		gv := strings.TrimPrefix(kind.GroupVersion().String()+"/"+kind.Kind, "/")
		if !slices.Contains(allowedKinds(), gv) {
			problems = append(problems, gv+" is not an allowed kind")
			continue
		}
		meta := object.(metav1.Object)
		if name := kind.Kind + "/" + meta.GetName(); o.named[name] {
			problems = append(problems, name+" exists twice")
		} else {
			o.named[name] = true
		}
		o.add(object)
	}
	return o, problems
}

func (o *objects) add(object runtime.Object) {
	switch object := object.(type) {
	case *appsv1.Deployment:
		s := object.Spec
		o.workloads = append(o.workloads, workload{"Deployment", object.Name, s.Replicas, s.Selector, s.Template, nil, ""})
	case *appsv1.StatefulSet:
		s := object.Spec
		o.workloads = append(o.workloads, workload{"StatefulSet", object.Name, s.Replicas, s.Selector, s.Template, s.VolumeClaimTemplates, s.ServiceName})
	case *batchv1.Job:
		o.workloads = append(o.workloads, workload{"Job", object.Name, object.Spec.Parallelism, object.Spec.Selector, object.Spec.Template, nil, ""})
	case *corev1.ConfigMap:
		o.configs = append(o.configs, object)
	case *corev1.Service:
		o.services = append(o.services, object)
	case *corev1.ServiceAccount:
		o.accounts = append(o.accounts, object)
	case *networkingv1.Ingress:
		o.ingresses = append(o.ingresses, object)
	case *networkingv1.NetworkPolicy:
		o.policies = append(o.policies, object)
	case *policyv1.PodDisruptionBudget:
		o.budgets = append(o.budgets, object)
	case *autoscalingv2.HorizontalPodAutoscaler:
		o.scalers = append(o.scalers, object)
	}
}

// restricted checks the pods with the library of the API server.
func (o objects) restricted() (problems []string) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return []string{err.Error()}
	}
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for _, w := range o.workloads {
		spec := w.pod()
		for _, result := range evaluator.EvaluatePod(level, &w.template.ObjectMeta, &spec) {
			if !result.Allowed {
				problems = append(problems, fmt.Sprintf("%s: %s: %s", w.name, result.ForbiddenReason, result.ForbiddenDetail))
			}
		}
	}
	return problems
}
