package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// write creates a node, patches its status and deletes it, again and again under new names. A server
// without the subresource is patched where the object is.
func write() (*report, error) {
	client, err := newClient()
	if err != nil {
		return nil, err
	}
	subresource, err := hasStatus(client, server(0))
	if err != nil {
		return nil, err
	}
	operations := make([]operation, 0, *connections)
	for i := range *connections {
		client, err := newClient()
		if err != nil {
			return nil, err
		}
		writer := &writer{client: client, at: server(i) + "/api/v1/nodes", subresource: subresource}
		number := 0
		operations = append(operations, func() (int, error) {
			number++
			return writer.life(fmt.Sprintf("written-%d-%d", i, number))
		})
	}
	return drive(operations)
}

func hasStatus(client *http.Client, at string) (bool, error) {
	request, err := newRequest(http.MethodGet, at+"/api/v1/nodes/"+nodeName(0)+"/status", nil)
	if err != nil {
		return false, err
	}
	response, err := client.Do(request)
	if err != nil {
		return false, err
	}
	return response.StatusCode == http.StatusOK, response.Body.Close()
}

type writer struct {
	client      *http.Client
	at          string
	subresource bool
}

// life creates, patches and deletes one node.
func (w *writer) life(name string) (int, error) {
	node := newNode(name)
	status := node.Status
	body, contentType, err := encode(node, nodeKind, *protobuf)
	if err != nil {
		return 0, err
	}
	created, err := w.send(http.MethodPost, "", contentType, body)
	if err != nil {
		return 0, err
	}
	status.Conditions[0].Message = "patched"
	patch, err := json.Marshal(map[string]any{"status": map[string]any{"conditions": status.Conditions}})
	if err != nil {
		return 0, err
	}
	if _, err := w.send(http.MethodPatch, w.statusPath(name), string(types.StrategicMergePatchType), patch); err != nil {
		return 0, err
	}
	options, contentType, err := encode(&metav1.DeleteOptions{}, metav1.Unversioned.WithKind("DeleteOptions"), *protobuf)
	if err != nil {
		return 0, err
	}
	_, err = w.send(http.MethodDelete, "/"+name, contentType, options)
	return created, err
}

func (w *writer) statusPath(name string) string {
	if w.subresource {
		return "/" + name + "/status"
	}
	return "/" + name
}

func (w *writer) send(method, path, contentType string, body []byte) (int, error) {
	request, err := newRequest(method, w.at+path, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", contentType)
	response, err := w.client.Do(request)
	if err != nil {
		return 0, err
	}
	return drain(response)
}
