package main

import (
	"context"
	"fmt"
	"math/rand"
	"strconv"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

const (
	candidates   = 3
	namesPerKind = 50
)

// kind is one of those that are churned and cached.
type kind struct {
	plural string
	object func() client.Object
	list   func() client.ObjectList
}

var kinds = []kind{
	{
		"configmaps",
		func() client.Object { return &corev1.ConfigMap{} },
		func() client.ObjectList { return &corev1.ConfigMapList{} },
	},
	{
		"secrets",
		func() client.Object { return &corev1.Secret{} },
		func() client.ObjectList { return &corev1.SecretList{} },
	},
	{
		"endpointslices",
		func() client.Object {
			return &discoveryv1.EndpointSlice{AddressType: discoveryv1.AddressTypeIPv4, Endpoints: []discoveryv1.Endpoint{}}
		},
		func() client.ObjectList { return &discoveryv1.EndpointSliceList{} },
	},
}

// churn writes at random for a while under the eyes of several managers, one of them elected. None may
// list a kind a second time or meet an error, and at the end every cache is what a list says.
func churn(ctx context.Context, config *rest.Config, namespace string) error {
	log.SetLogger(logr.Discard()) // what fails is counted
	uncached, err := client.New(config, client.Options{})
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	all, ended, err := startAll(running, config, namespace)
	if err == nil {
		err = churnUnder(ctx, uncached, namespace, all)
	}
	stop()
	for range all {
		if endedWith := <-ended; err == nil {
			err = endedWith
		}
	}
	return err
}

// startAll starts the candidates and waits until each has every kind in its cache.
func startAll(ctx context.Context, config *rest.Config, namespace string) ([]*candidate, <-chan error, error) {
	var all []*candidate
	ended := make(chan error, candidates)
	for range candidates {
		one, err := newCandidate(config, namespace)
		if err != nil {
			return all, ended, err
		}
		all = append(all, one)
		go func() { ended <- one.manager.Start(ctx) }()
		for _, cached := range kinds {
			if _, err := one.manager.GetCache().GetInformer(ctx, cached.object()); err != nil {
				return all, ended, err
			}
		}
	}
	return all, ended, nil
}

func churnUnder(ctx context.Context, uncached client.Client, namespace string, all []*candidate) error {
	began := time.Now()
	writes, err := write(ctx, uncached, namespace, time.Duration(*seconds)*time.Second)
	if err != nil {
		return fmt.Errorf("after %d writes: %w", writes, err)
	}
	for i, one := range all {
		if err := one.check(ctx, uncached, namespace); err != nil {
			return fmt.Errorf("manager %d: %w", i, err)
		}
	}
	fmt.Printf("ok %d writes in %.0f s, %d managers, %d kinds\n", writes, time.Since(began).Seconds(), len(all), len(kinds))
	return nil
}

func (c *candidate) check(ctx context.Context, uncached client.Client, namespace string) error {
	for _, one := range kinds {
		equal := func() bool {
			cached, err := versions(ctx, c.manager.GetClient(), namespace, one)
			if err != nil {
				return false
			}
			listed, err := versions(ctx, uncached, namespace, one)
			return err == nil && same(cached, listed)
		}
		if err := eventually(ctx, equal, "the cache of "+one.plural+" equal to a list"); err != nil {
			return err
		}
		if lists := c.requests.listed(one.plural); lists > 1 {
			return fmt.Errorf("%s were listed %d times", one.plural, lists)
		}
	}
	kept := func() bool { return c.kept(ctx, uncached, namespace) }
	if err := eventually(ctx, kept, "a Secret for each ConfigMap"); err != nil {
		return err
	}
	return c.requests.problem()
}

// kept tells whether the elected manager has caught up.
func (c *candidate) kept(ctx context.Context, uncached client.Client, namespace string) bool {
	var owners corev1.ConfigMapList
	if uncached.List(ctx, &owners) != nil {
		return false
	}
	for _, owner := range owners.Items {
		if owner.Namespace != namespace {
			continue
		}
		var secret corev1.Secret
		err := c.manager.GetClient().Get(ctx, client.ObjectKeyFromObject(&owner), &secret)
		if err != nil || string(secret.Data[at]) != owner.Annotations[at] {
			return false
		}
	}
	return true
}

// versions reads the resource version of every object of a kind in a namespace, by uid. It lists all
// namespaces, so that the server's count of lists of one namespace is of the managers alone.
func versions(ctx context.Context, reader client.Reader, namespace string, one kind) (map[types.UID]string, error) {
	found := one.list()
	if err := reader.List(ctx, found); err != nil {
		return nil, err
	}
	read := map[types.UID]string{}
	return read, meta.EachListItem(found, func(item object) error {
		accessor, err := meta.Accessor(item)
		if err == nil && accessor.GetNamespace() == namespace {
			read[accessor.GetUID()] = accessor.GetResourceVersion()
		}
		return err
	})
}

func same(one, other map[types.UID]string) bool {
	for uid, version := range one {
		if other[uid] != version {
			return false
		}
	}
	return len(one) == len(other)
}

// write makes, patches, applies and deletes objects at random; what is there or gone already is fine.
func write(ctx context.Context, uncached client.Client, namespace string, during time.Duration) (int, error) {
	chance := rand.New(rand.NewSource(1))
	pace := time.NewTicker(time.Second / time.Duration(*rate))
	defer pace.Stop()
	end := time.Now().Add(during)
	writes := 0
	for ; time.Now().Before(end); writes++ {
		select {
		case <-ctx.Done():
			return writes, ctx.Err()
		case <-pace.C:
		}
		written := kinds[chance.Intn(len(kinds))].object()
		written.SetNamespace(namespace)
		written.SetName(fmt.Sprintf("churned-%d", chance.Intn(namesPerKind)))
		err := writeOne(ctx, uncached, written, chance.Intn(6))
		if err != nil && !errors.IsNotFound(err) && !errors.IsAlreadyExists(err) {
			return writes, err
		}
	}
	return writes, nil
}

func writeOne(ctx context.Context, uncached client.Client, written client.Object, action int) error {
	now := strconv.FormatInt(time.Now().UnixNano(), 10)
	patch := fmt.Appendf(nil, `{"metadata": {"annotations": {%q: %q}}}`, at, now)
	switch action {
	case 0:
		return uncached.Delete(ctx, written)
	case 1:
		return uncached.Create(ctx, written)
	case 2:
		return uncached.Patch(ctx, written, client.RawPatch(types.StrategicMergePatchType, patch))
	case 3:
		return apply(ctx, uncached, written, now)
	default:
		return uncached.Patch(ctx, written, client.RawPatch(types.MergePatchType, patch))
	}
}

func apply(ctx context.Context, uncached client.Client, written client.Object, now string) error {
	kind, err := apiutil.GVKForObject(written, uncached.Scheme())
	if err != nil {
		return err
	}
	written.SetAnnotations(map[string]string{at: now})
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(written)
	if err != nil {
		return err
	}
	wanted := &unstructured.Unstructured{Object: content}
	wanted.SetGroupVersionKind(kind)
	unstructured.RemoveNestedField(wanted.Object, "metadata", "creationTimestamp")
	return uncached.Apply(ctx, client.ApplyConfigurationFromUnstructured(wanted), client.FieldOwner("churn"), client.ForceOwnership)
}
