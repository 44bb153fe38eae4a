package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/httpstream"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	streaming "k8s.io/streaming/pkg/httpstream"
)

const patience = 15 * time.Second

// etcd looks at a member as the controller of kubeadm's control planes does: each time a port-forward, a
// handshake inside it, and three calls.
func etcd() (*report, error) {
	settings, err := tlsConfig("etcd-ca", "etcd-client")
	if err != nil {
		return nil, err
	}
	settings.ServerName = *pod
	operations := make([]operation, 0, *connections)
	for i := range *connections {
		forward, err := newForwarder(server(i))
		if err != nil {
			return nil, err
		}
		operations = append(operations, func() (int, error) { return 0, session(forward, settings) })
	}
	return drive(operations)
}

func session(forward *forwarder, settings *tls.Config) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	client, err := clientv3.New(clientv3.Config{
		Context:     ctx,
		Endpoints:   []string{*pod},
		DialTimeout: patience,
		DialOptions: []grpc.DialOption{grpc.WithContextDialer(forward.dial)},
		TLS:         settings.Clone(),
	})
	if err != nil {
		return err
	}
	defer client.Close()
	status, err := client.Status(ctx, *pod)
	if err != nil {
		return err
	}
	members, err := client.MemberList(ctx)
	if err != nil {
		return err
	}
	if len(members.Members) != 1 || members.Members[0].ID != status.Leader {
		return fmt.Errorf("members %v, leader %d", members.Members, status.Leader)
	}
	_, err = client.AlarmList(ctx)
	return err
}

// forwarder opens streams to the etcd of the pod through one API server.
type forwarder struct {
	dialer httpstream.Dialer
}

func newForwarder(at string) (*forwarder, error) {
	config := &rest.Config{Host: at, TLSClientConfig: rest.TLSClientConfig{
		CAFile:   filepath.Join(*keys, "ca.crt"),
		CertFile: filepath.Join(*keys, "client.crt"),
		KeyFile:  filepath.Join(*keys, "client.key"),
	}}
	target, err := url.Parse(at + "/api/v1/namespaces/kube-system/pods/" + *pod + "/portforward")
	if err != nil {
		return nil, err
	}
	transport, upgrader, err := spdy.RoundTripperFor(config)
	if err != nil {
		return nil, err
	}
	plain := spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, target)
	if !*tunnel {
		return &forwarder{plain}, nil
	}
	tunneled, err := portforward.NewSPDYOverWebsocketDialer(target, config)
	if err != nil {
		return nil, err
	}
	refused := func(err error) bool { return httpstream.IsUpgradeFailure(err) || streaming.IsUpgradeFailure(err) }
	return &forwarder{portforward.NewFallbackDialer(tunneled, plain, refused)}, nil
}

func (f *forwarder) dial(_ context.Context, _ string) (net.Conn, error) {
	connection, _, err := f.dialer.Dial(portforward.PortForwardProtocolV1Name)
	if err != nil {
		return nil, err
	}
	headers := http.Header{}
	headers.Set(corev1.PortHeader, "2379")
	headers.Set(corev1.PortForwardRequestIDHeader, "0")
	headers.Set(corev1.StreamType, corev1.StreamTypeError)
	problems, err := connection.CreateStream(headers)
	if err != nil {
		return nil, err
	}
	if err := problems.Close(); err != nil {
		return nil, err
	}
	go io.Copy(io.Discard, problems) //nolint:errcheck // it ends with the connection
	headers.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := connection.CreateStream(headers)
	if err != nil {
		return nil, err
	}
	return stream{data, connection}, nil
}

// stream makes a connection of a port-forward's data stream.
type stream struct {
	httpstream.Stream
	connection httpstream.Connection
}

func (s stream) Close() error {
	if err := s.Stream.Close(); err != nil {
		return err
	}
	return s.connection.Close()
}

func (stream) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (stream) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (stream) SetDeadline(time.Time) error      { return nil }
func (stream) SetReadDeadline(time.Time) error  { return nil }
func (stream) SetWriteDeadline(time.Time) error { return nil }
