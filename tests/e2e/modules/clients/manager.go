package main

import (
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	applymetav1 "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

// at is what is copied from an owner to what is kept for it.
const at = "at"

// keeper gives every ConfigMap a Secret of its name by server-side apply, owned by it.
type keeper struct{ *candidate }

func (k keeper) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var owner corev1.ConfigMap
	if err := k.manager.GetClient().Get(ctx, request.NamespacedName, &owner); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	wanted := applycorev1.Secret(owner.Name, owner.Namespace).
		WithData(map[string][]byte{at: []byte(owner.Annotations[at])}).
		WithOwnerReferences(applymetav1.OwnerReference().
			WithAPIVersion("v1").WithKind("ConfigMap").WithName(owner.Name).WithUID(owner.UID).
			WithController(true).WithBlockOwnerDeletion(true))
	return ctrl.Result{}, k.manager.GetClient().Apply(ctx, wanted, client.FieldOwner("keeper"), client.ForceOwnership)
}

// candidate is a manager with a client of its own: all of them cache, the one elected also keeps Secrets.
type candidate struct {
	manager  ctrl.Manager
	requests *requests
}

func newCandidate(given *rest.Config, namespace string) (*candidate, error) {
	own, requests := counted(given)
	manager, err := ctrl.NewManager(own, ctrl.Options{
		LeaderElection:                true,
		LeaderElectionID:              "keeper",
		LeaderElectionNamespace:       namespace,
		LeaderElectionReleaseOnCancel: true,
		Metrics:                       server.Options{BindAddress: "0"},
		Controller:                    config.Controller{SkipNameValidation: ptr.To(true)},
		Cache: cache.Options{
			DefaultNamespaces:        map[string]cache.Config{namespace: {}},
			DefaultWatchErrorHandler: requests.watchFailed,
		},
	})
	if err != nil {
		return nil, err
	}
	made := &candidate{manager, requests}
	build := ctrl.NewControllerManagedBy(manager).For(&corev1.ConfigMap{}).Owns(&corev1.Secret{})
	return made, build.Complete(keeper{made})
}

// runManager runs a controller elected as leader, and checks what it does by an uncached client.
func runManager(ctx context.Context, config *rest.Config, namespace string) error {
	log.SetLogger(logr.Discard()) // what fails is told by what does not come
	one, err := newCandidate(config, namespace)
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- one.manager.Start(running) }()
	err = useManager(ctx, one.manager, namespace)
	stop()
	if endedWith := <-ended; err == nil {
		err = endedWith
	}
	return err
}

func useManager(ctx context.Context, manager ctrl.Manager, namespace string) error {
	select {
	case <-manager.Elected():
		fmt.Println("ok elected")
	case <-time.After(30 * time.Second):
		return fmt.Errorf("not elected in thirty seconds")
	}
	uncached, err := client.New(manager.GetConfig(), client.Options{})
	if err != nil {
		return err
	}
	owner := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Name: "kept", Namespace: namespace, Annotations: map[string]string{at: "1"},
	}}
	if err := uncached.Create(ctx, owner); err != nil {
		return err
	}
	key := client.ObjectKeyFromObject(owner)
	kept := func(reader client.Reader, value string) func() bool {
		return func() bool {
			var secret corev1.Secret
			return reader.Get(ctx, key, &secret) == nil && string(secret.Data[at]) == value
		}
	}
	if err := eventually(ctx, kept(uncached, "1"), "a Secret by the controller"); err != nil {
		return err
	}
	if err := eventually(ctx, kept(manager.GetClient(), "1"), "the Secret in the cache"); err != nil {
		return err
	}
	owner.Annotations[at] = "2"
	if err := uncached.Update(ctx, owner); err != nil {
		return err
	}
	if err := eventually(ctx, kept(manager.GetAPIReader(), "2"), "the Secret changed"); err != nil {
		return err
	}
	fmt.Println("ok reconciled")
	return goneWithOwner(ctx, uncached, owner)
}

func goneWithOwner(ctx context.Context, uncached client.Client, owner *corev1.ConfigMap) error {
	if err := uncached.Delete(ctx, owner); err != nil {
		return err
	}
	err := eventually(ctx, func() bool {
		return errors.IsNotFound(uncached.Get(ctx, client.ObjectKeyFromObject(owner), &corev1.Secret{}))
	}, "the Secret collected with its owner")
	if err == nil {
		fmt.Println("ok collected")
	}
	return err
}
