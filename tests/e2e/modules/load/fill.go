package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

var nodeKind = corev1.SchemeGroupVersion.WithKind("Node")

// fill creates nodes until there are as many as wanted on each server. All servers come to hold the same:
// one that ignores the status of a new object is sent it again, and one that notes who wrote what is asked
// to forget it, because nodes that a provider makes have no such notes.
func fill() (*report, error) {
	client, err := newClient()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	for _, at := range servers() {
		if err := fillServer(client, at); err != nil {
			return nil, err
		}
	}
	return &report{Count: *count, Seconds: time.Since(began).Seconds()}, nil
}

func fillServer(client *http.Client, at string) error {
	var list corev1.NodeList
	if err := call(client, http.MethodGet, at+"/api/v1/nodes", "", nil, &list); err != nil {
		return err
	}
	held := map[string]bool{}
	for _, node := range list.Items {
		held[node.Name] = true
	}
	for number := 0; len(held) < *count; number++ {
		name := nodeName(number)
		if held[name] {
			continue
		}
		if err := createWhole(client, at, name); err != nil {
			return err
		}
		held[name] = true
	}
	return nil
}

func createWhole(client *http.Client, at, name string) error {
	node := newNode(name)
	body, contentType, err := encode(node, nodeKind, true) // the provider of 1.7 takes nothing else
	if err != nil {
		return err
	}
	var made corev1.Node
	if err := call(client, http.MethodPost, at+"/api/v1/nodes", contentType, body, &made); err != nil {
		return err
	}
	url := at + "/api/v1/nodes/" + name
	if len(made.Status.Conditions) == 0 {
		if err := patchStatus(client, url+"/status", node.Status, &made); err != nil {
			return err
		}
	}
	if len(made.ManagedFields) == 0 {
		return nil
	}
	forget, err := json.Marshal(map[string]any{"metadata": map[string]any{"managedFields": []any{metav1.ManagedFieldsEntry{}}}})
	if err != nil {
		return err
	}
	return call(client, http.MethodPatch, url, string(types.MergePatchType), forget, nil)
}

func patchStatus(client *http.Client, url string, status corev1.NodeStatus, into *corev1.Node) error {
	patch, err := json.Marshal(map[string]any{"status": status})
	if err != nil {
		return err
	}
	return call(client, http.MethodPatch, url, string(types.MergePatchType), patch, into)
}

// call sends a body and decodes the answer, which is JSON, into something unless that is nil.
func call(client *http.Client, method, url, contentType string, body []byte, into any) error {
	request, err := newRequest(method, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Accept", "application/json")
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s %s: %d %s", method, url, response.StatusCode, text)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(text, into)
}
