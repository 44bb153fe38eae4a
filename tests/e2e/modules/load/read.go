package main

import (
	"fmt"
	"io"
	"net/http"
)

// read asks for the same path on every connection.
func read() (*report, error) {
	var protocol string
	operations := make([]operation, 0, *connections)
	for i := range *connections {
		client, err := newClient()
		if err != nil {
			return nil, err
		}
		request, err := newRequest(http.MethodGet, server(i)+*path, nil)
		if err != nil {
			return nil, err
		}
		operations = append(operations, func() (int, error) {
			response, err := client.Do(request)
			if err != nil {
				return 0, err
			}
			if i == 0 {
				protocol = response.Proto
			}
			return drain(response)
		})
	}
	done, err := drive(operations)
	if err == nil {
		done.Protocol = protocol
	}
	return done, err
}

func newRequest(method, url string, body io.Reader) (*http.Request, error) {
	request, err := http.NewRequest(method, url, body)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", accepted())
	request.Header.Set("User-Agent", "load/v0.0.0 (linux/amd64) kubernetes/0000000")
	return request, nil
}

// drain reads an answer to its end and returns how many bytes its body has. Any failure is an error.
func drain(response *http.Response) (int, error) {
	defer response.Body.Close()
	if response.StatusCode >= http.StatusBadRequest {
		text, _ := io.ReadAll(response.Body)
		return 0, fmt.Errorf("%s %s: %d %s", response.Request.Method, response.Request.URL, response.StatusCode, text)
	}
	size, err := io.Copy(io.Discard, response.Body)
	return int(size), err
}
