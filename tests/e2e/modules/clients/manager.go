package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	applymetav1 "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

// keeper gives every ConfigMap a Secret of its name by server-side apply, owned by it.
type keeper struct{ client client.Client }

func (k keeper) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var owner corev1.ConfigMap
	if err := k.client.Get(ctx, request.NamespacedName, &owner); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	wanted := applycorev1.Secret(owner.Name, owner.Namespace).
		WithStringData(owner.Data).
		WithOwnerReferences(applymetav1.OwnerReference().
			WithAPIVersion("v1").WithKind("ConfigMap").WithName(owner.Name).WithUID(owner.UID).
			WithController(true).WithBlockOwnerDeletion(true))
	return ctrl.Result{}, k.client.Apply(ctx, wanted, client.FieldOwner("keeper"), client.ForceOwnership)
}

// runManager runs a controller elected as leader, and checks what it does by an uncached client.
func runManager(ctx context.Context, config *rest.Config, namespace string) error {
	log.SetLogger(zap.New())
	manager, err := ctrl.NewManager(config, ctrl.Options{
		LeaderElection:                true,
		LeaderElectionID:              "keeper",
		LeaderElectionNamespace:       namespace,
		LeaderElectionReleaseOnCancel: true,
		Metrics:                       server.Options{BindAddress: "0"},
		Cache:                         cache.Options{DefaultNamespaces: map[string]cache.Config{namespace: {}}},
	})
	if err != nil {
		return err
	}
	build := ctrl.NewControllerManagedBy(manager).For(&corev1.ConfigMap{}).Owns(&corev1.Secret{})
	if err := build.Complete(keeper{manager.GetClient()}); err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- manager.Start(running) }()
	err = useManager(ctx, manager, namespace)
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
	owner := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "kept", Namespace: namespace},
		Data:       map[string]string{"x": "1"},
	}
	if err := uncached.Create(ctx, owner); err != nil {
		return err
	}
	key := client.ObjectKeyFromObject(owner)
	kept := func(reader client.Reader, value string) func() bool {
		return func() bool {
			var secret corev1.Secret
			return reader.Get(ctx, key, &secret) == nil && string(secret.Data["x"]) == value
		}
	}
	if err := eventually(ctx, kept(uncached, "1"), "a Secret by the controller"); err != nil {
		return err
	}
	if err := eventually(ctx, kept(manager.GetClient(), "1"), "the Secret in the cache"); err != nil {
		return err
	}
	owner.Data["x"] = "2"
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
