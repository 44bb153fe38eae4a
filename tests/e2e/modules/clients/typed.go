package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/pager"
	"k8s.io/client-go/util/retry"
)

func protobuf(ctx context.Context, config *rest.Config, namespace string) error {
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	return typed(ctx, config, namespace)
}

// typed makes, reads, changes, applies, lists, watches and deletes through the typed client.
func typed(ctx context.Context, config *rest.Config, namespace string) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	maps := client.CoreV1().ConfigMaps(namespace)
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"create", func() error { return create(ctx, client, namespace) }},
		{"update after a conflict", func() error { return updateAfterConflict(ctx, client, namespace) }},
		{"patch", func() error { return patchAll(ctx, client, namespace) }},
		{"apply", func() error {
			wanted := applycorev1.ConfigMap("a", namespace).WithData(map[string]string{"applied": "1"})
			applied, err := maps.Apply(ctx, wanted, metav1.ApplyOptions{FieldManager: "clients"})
			return expect(err, func() bool { return applied.Data["applied"] == "1" }, "the applied value")
		}},
		{"list in pages", func() error { return listInPages(ctx, client, namespace) }},
		{"watch", func() error { return watchOne(ctx, client, namespace) }},
		{"delete", func() error {
			if err := maps.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil {
				return err
			}
			_, err := maps.Get(ctx, "a", metav1.GetOptions{})
			return expect(nil, func() bool { return errors.IsNotFound(err) }, "NotFound after deletion")
		}},
		{"version", func() error {
			version, err := client.Discovery().ServerVersion()
			return expect(err, func() bool { return version.Major == "1" }, "major version 1")
		}},
	} {
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		fmt.Println("ok", step.name)
	}
	return nil
}

func expect(err error, true_ func() bool, what string) error {
	if err != nil {
		return err
	}
	if !true_() {
		return fmt.Errorf("expected %s", what)
	}
	return nil
}

func create(ctx context.Context, client kubernetes.Interface, namespace string) error {
	maps := client.CoreV1().ConfigMaps(namespace)
	for _, name := range []string{"a", "b", "c"} {
		body := &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"of": "clients"}},
			BinaryData: map[string][]byte{"raw": {0, 1, 255}},
		}
		made, err := maps.Create(ctx, body, metav1.CreateOptions{})
		if err := expect(err, func() bool { return made.UID != "" && len(made.BinaryData["raw"]) == 3 }, "a uid and the data"); err != nil {
			return err
		}
	}
	_, err := maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "a"}}, metav1.CreateOptions{})
	return expect(nil, func() bool { return errors.IsAlreadyExists(err) }, "AlreadyExists")
}

func updateAfterConflict(ctx context.Context, client kubernetes.Interface, namespace string) error {
	maps := client.CoreV1().ConfigMaps(namespace)
	stale, err := maps.Get(ctx, "a", metav1.GetOptions{})
	if err != nil {
		return err
	}
	fresh := stale.DeepCopy()
	fresh.Data = map[string]string{"x": "1"}
	if _, err := maps.Update(ctx, fresh, metav1.UpdateOptions{}); err != nil {
		return err
	}
	conflicts := 0
	err = retry.RetryOnConflict(retry.DefaultRetry, func() error {
		stale.Data = map[string]string{"x": "2"}
		_, err := maps.Update(ctx, stale, metav1.UpdateOptions{})
		if errors.IsConflict(err) {
			conflicts++
			if stale, _ = maps.Get(ctx, "a", metav1.GetOptions{}); stale == nil {
				return fmt.Errorf("the object is gone")
			}
		}
		return err
	})
	return expect(err, func() bool { return conflicts == 1 }, "one conflict")
}

func patchAll(ctx context.Context, client kubernetes.Interface, namespace string) error {
	for kind, body := range map[types.PatchType]string{
		types.MergePatchType:          `{"data": {"merge": "1"}}`,
		types.StrategicMergePatchType: `{"data": {"strategic": "1"}}`,
		types.JSONPatchType:           `[{"op": "add", "path": "/data/json", "value": "1"}]`,
	} {
		maps := client.CoreV1().ConfigMaps(namespace)
		patched, err := maps.Patch(ctx, "a", kind, []byte(body), metav1.PatchOptions{})
		if err := expect(err, func() bool { return len(patched.Data) > 1 }, "a patched value"); err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
	}
	return nil
}

func listInPages(ctx context.Context, client kubernetes.Interface, namespace string) error {
	pages := pager.New(pager.SimplePageFunc(func(options metav1.ListOptions) (object, error) {
		return client.CoreV1().ConfigMaps(namespace).List(ctx, options)
	}))
	pages.PageSize = 1
	seen := 0
	err := pages.EachListItem(ctx, metav1.ListOptions{LabelSelector: "of=clients"}, func(object) error {
		seen++
		return nil
	})
	return expect(err, func() bool { return seen == 3 }, "three objects")
}

func watchOne(ctx context.Context, client kubernetes.Interface, namespace string) error {
	maps := client.CoreV1().ConfigMaps(namespace)
	found, err := maps.List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	stream, err := maps.Watch(ctx, metav1.ListOptions{ResourceVersion: found.ResourceVersion})
	if err != nil {
		return err
	}
	defer stream.Stop()
	if err := maps.Delete(ctx, "c", metav1.DeleteOptions{}); err != nil {
		return err
	}
	select {
	case event := <-stream.ResultChan():
		return expect(nil, func() bool { return event.Type == watch.Deleted }, "a deletion")
	case <-time.After(10 * time.Second):
		return fmt.Errorf("no event in ten seconds")
	}
}
