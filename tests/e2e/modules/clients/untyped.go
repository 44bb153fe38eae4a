package main

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
)

type object = runtime.Object

// dynamicClient finds a kind by discovery and uses it without its Go type, whole and metadata alone.
func dynamicClient(ctx context.Context, config *rest.Config, namespace string) error {
	found, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return err
	}
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(found))
	mapping, err := mapper.RESTMapping(schema.GroupKind{Group: "apps", Kind: "Deployment"})
	if err != nil {
		return err
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	deployments := client.Resource(mapping.Resource).Namespace(namespace)
	made, err := deployments.Create(ctx, deployment(), metav1.CreateOptions{})
	if err != nil {
		return err
	}
	scale, err := deployments.Get(ctx, made.GetName(), metav1.GetOptions{}, "scale")
	if err := expect(err, func() bool { return scale.GetKind() == "Scale" }, "a Scale"); err != nil {
		return err
	}
	fmt.Println("ok dynamic")
	return readMetadata(ctx, config, mapping.Resource, made)
}

func readMetadata(ctx context.Context, config *rest.Config, kind schema.GroupVersionResource, made *unstructured.Unstructured) error {
	client, err := metadata.NewForConfig(config)
	if err != nil {
		return err
	}
	found, err := client.Resource(kind).Namespace(made.GetNamespace()).List(ctx, metav1.ListOptions{})
	if err := expect(err, func() bool { return len(found.Items) == 1 && found.Items[0].UID == made.GetUID() }, "its metadata"); err != nil {
		return err
	}
	fmt.Println("ok metadata")
	return client.Resource(kind).Namespace(made.GetNamespace()).Delete(ctx, made.GetName(), metav1.DeleteOptions{})
}

func deployment() *unstructured.Unstructured {
	names := map[string]any{"app": "web"}
	container := map[string]any{"name": "web", "image": "nginx"}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1",
		"kind":       "Deployment",
		"metadata":   map[string]any{"name": "web"},
		"spec": map[string]any{
			"replicas": int64(0),
			"selector": map[string]any{"matchLabels": names},
			"template": map[string]any{
				"metadata": map[string]any{"labels": names},
				"spec":     map[string]any{"containers": []any{container}},
			},
		},
	}}
}

// informersFollow keeps caches of several kinds and sees an object come and go in one of them.
func informersFollow(ctx context.Context, config *rest.Config, namespace string) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0)
	maps := factory.Core().V1().ConfigMaps()
	factory.Core().V1().Nodes().Informer()
	factory.Core().V1().Pods().Informer()
	factory.Apps().V1().Deployments().Informer()
	maps.Informer()
	limited, stop := context.WithTimeout(ctx, 30*time.Second)
	defer stop()
	factory.Start(limited.Done())
	for kind, synced := range factory.WaitForCacheSync(limited.Done()) {
		if !synced {
			return fmt.Errorf("the cache of %s is not synced", kind)
		}
	}
	if err := create(ctx, client, namespace); err != nil {
		return err
	}
	seen := func() int {
		all, _ := maps.Lister().ConfigMaps(namespace).List(labels.Set{"of": "clients"}.AsSelector())
		return len(all)
	}
	if err := eventually(ctx, func() bool { return seen() == 3 }, "three objects in the cache"); err != nil {
		return err
	}
	if err := client.CoreV1().ConfigMaps(namespace).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "of=clients"}); err != nil {
		return err
	}
	if err := eventually(ctx, func() bool { return seen() == 0 }, "an empty cache"); err != nil {
		return err
	}
	fmt.Println("ok informers")
	return nil
}

func eventually(ctx context.Context, true_ func() bool, what string) error {
	for range 200 {
		if true_() {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return fmt.Errorf("not in ten seconds: %s", what)
}
