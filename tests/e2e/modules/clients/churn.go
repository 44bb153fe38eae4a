package main

import (
	"context"
	"fmt"
	"math/rand"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

const (
	followers    = 4
	namesPerKind = 50
)

var kinds = []string{"configmaps", "secrets", "endpointslices"}

// requests counts what one client asks for.
type requests struct {
	next  http.RoundTripper
	mutex sync.Mutex
	lists map[string]int
	bad   atomic.Int64
}

func (r *requests) RoundTrip(request *http.Request) (*http.Response, error) {
	query := request.URL.Query()
	if request.Method == http.MethodGet && query.Get("watch") == "" {
		parts := strings.Split(request.URL.Path, "/")
		r.mutex.Lock()
		r.lists[parts[len(parts)-1]]++
		r.mutex.Unlock()
	}
	answer, err := r.next.RoundTrip(request)
	if err == nil && answer.StatusCode >= 400 {
		r.bad.Add(1)
	}
	return answer, err
}

// follower is one client with a cache of every kind.
type follower struct {
	requests *requests
	stores   map[string]cache.SharedIndexInformer
	broken   atomic.Int64
}

// churn writes at random for a while under the eyes of several clients. None of them may list a kind
// a second time or meet an error, and at the end every cache is what a list says.
func churn(ctx context.Context, config *rest.Config, namespace string) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	all := make([]*follower, followers)
	for i := range all {
		if all[i], err = follow(watching, config, namespace); err != nil {
			return err
		}
	}
	before := time.Now()
	writes, err := write(ctx, client, namespace, time.Duration(*seconds)*time.Second)
	if err != nil {
		return fmt.Errorf("after %d writes: %w", writes, err)
	}
	for i, one := range all {
		if err := one.check(ctx, client, namespace); err != nil {
			return fmt.Errorf("client %d: %w", i, err)
		}
	}
	fmt.Printf("ok %d writes in %.0f s, %d clients, %d kinds, lists of client 0: %v\n",
		writes, time.Since(before).Seconds(), followers, len(kinds), all[0].requests.lists)
	return nil
}

func follow(ctx context.Context, config *rest.Config, namespace string) (*follower, error) {
	counted := &requests{lists: map[string]int{}}
	own := rest.CopyConfig(config)
	own.Wrap(func(next http.RoundTripper) http.RoundTripper {
		counted.next = next
		return counted
	})
	client, err := kubernetes.NewForConfig(own)
	if err != nil {
		return nil, err
	}
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(namespace))
	made := &follower{requests: counted, stores: map[string]cache.SharedIndexInformer{
		"configmaps":     factory.Core().V1().ConfigMaps().Informer(),
		"secrets":        factory.Core().V1().Secrets().Informer(),
		"endpointslices": factory.Discovery().V1().EndpointSlices().Informer(),
	}}
	for _, store := range made.stores {
		if err := store.SetWatchErrorHandler(func(*cache.Reflector, error) { made.broken.Add(1) }); err != nil {
			return nil, err
		}
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	return made, ctx.Err()
}

func (f *follower) check(ctx context.Context, client kubernetes.Interface, namespace string) error {
	for _, kind := range kinds {
		wanted, err := versions(ctx, client, namespace, kind)
		if err != nil {
			return err
		}
		equal := func() bool { return same(wanted, f.stores[kind].GetStore().List()) }
		if err := eventually(ctx, equal, "the cache of "+kind+" equal to a list"); err != nil {
			return err
		}
		f.requests.mutex.Lock()
		lists := f.requests.lists[kind]
		f.requests.mutex.Unlock()
		if lists > 1 {
			return fmt.Errorf("%s were listed %d times", kind, lists)
		}
	}
	if f.broken.Load() > 0 || f.requests.bad.Load() > 0 {
		return fmt.Errorf("%d watches failed, %d answers were errors", f.broken.Load(), f.requests.bad.Load())
	}
	return nil
}

func versions(ctx context.Context, client kubernetes.Interface, namespace, kind string) (map[types.UID]string, error) {
	var found object
	var err error
	switch kind {
	case "configmaps":
		found, err = client.CoreV1().ConfigMaps(namespace).List(ctx, metav1.ListOptions{})
	case "secrets":
		found, err = client.CoreV1().Secrets(namespace).List(ctx, metav1.ListOptions{})
	default:
		found, err = client.DiscoveryV1().EndpointSlices(namespace).List(ctx, metav1.ListOptions{})
	}
	if err != nil {
		return nil, err
	}
	read := map[types.UID]string{}
	err = meta.EachListItem(found, func(one object) error {
		accessor, err := meta.Accessor(one)
		if err == nil {
			read[accessor.GetUID()] = accessor.GetResourceVersion()
		}
		return err
	})
	return read, err
}

func same(wanted map[types.UID]string, cached []any) bool {
	if len(wanted) != len(cached) {
		return false
	}
	for _, one := range cached {
		accessor, err := meta.Accessor(one)
		if err != nil || wanted[accessor.GetUID()] != accessor.GetResourceVersion() {
			return false
		}
	}
	return true
}

// write makes, patches and deletes objects of all kinds at random; what is there or gone already is fine.
func write(ctx context.Context, client kubernetes.Interface, namespace string, during time.Duration) (int, error) {
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
		name := fmt.Sprintf("churned-%d", chance.Intn(namesPerKind))
		err := writeOne(ctx, client, namespace, kinds[chance.Intn(len(kinds))], name, chance.Intn(4))
		if err != nil && !errors.IsNotFound(err) && !errors.IsAlreadyExists(err) {
			return writes, err
		}
	}
	return writes, nil
}

func writeOne(ctx context.Context, client kubernetes.Interface, namespace, kind, name string, action int) error {
	metadata := metav1.ObjectMeta{Name: name}
	patch := fmt.Appendf(nil, `{"metadata": {"annotations": {"at": "%d"}}}`, time.Now().UnixNano())
	maps, secrets := client.CoreV1().ConfigMaps(namespace), client.CoreV1().Secrets(namespace)
	slices := client.DiscoveryV1().EndpointSlices(namespace)
	var err error
	switch {
	case kind == "configmaps" && action == 0:
		err = maps.Delete(ctx, name, metav1.DeleteOptions{})
	case kind == "configmaps" && action == 1:
		_, err = maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metadata}, metav1.CreateOptions{})
	case kind == "configmaps":
		_, err = maps.Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{})
	case kind == "secrets" && action == 0:
		err = secrets.Delete(ctx, name, metav1.DeleteOptions{})
	case kind == "secrets" && action == 1:
		_, err = secrets.Create(ctx, &corev1.Secret{ObjectMeta: metadata}, metav1.CreateOptions{})
	case kind == "secrets":
		_, err = secrets.Patch(ctx, name, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
	case action == 0:
		err = slices.Delete(ctx, name, metav1.DeleteOptions{})
	case action == 1:
		slice := &discoveryv1.EndpointSlice{ObjectMeta: metadata, AddressType: discoveryv1.AddressTypeIPv4}
		_, err = slices.Create(ctx, slice, metav1.CreateOptions{})
	default:
		_, err = slices.Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{})
	}
	return err
}
