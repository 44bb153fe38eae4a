package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"sync"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// requests counts what one client asks for, and what it is refused.
type requests struct {
	next  http.RoundTripper
	mutex sync.Mutex
	// plural -> requests for every object of the kind, listed or streamed
	lists    map[string]int
	problems []string
}

// counted returns a configuration whose requests are counted.
func counted(config *rest.Config) (*rest.Config, *requests) {
	made := &requests{lists: map[string]int{}}
	own := rest.CopyConfig(config)
	own.Wrap(func(next http.RoundTripper) http.RoundTripper {
		made.next = next
		return made
	})
	return own, made
}

func (r *requests) RoundTrip(request *http.Request) (*http.Response, error) {
	query := request.URL.Query()
	if request.Method == http.MethodGet && (query.Get("watch") == "" || query.Get("sendInitialEvents") == "true") {
		r.mutex.Lock()
		r.lists[path.Base(request.URL.Path)]++
		r.mutex.Unlock()
	}
	answer, err := r.next.RoundTrip(request)
	// candidates for leadership race for their lease, and the first finds none
	if err == nil && answer.StatusCode >= 400 && !strings.Contains(request.URL.Path, "/leases") {
		r.note(fmt.Sprintf("%s %s: %s", request.Method, request.URL.Path, answer.Status))
	}
	return answer, err
}

func (r *requests) note(problem string) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.problems = append(r.problems, problem)
}

// problem returns the first that was met, if any, as an error.
func (r *requests) problem() error {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if len(r.problems) == 0 {
		return nil
	}
	return fmt.Errorf("%d problems, the first: %s", len(r.problems), r.problems[0])
}

func (r *requests) listed(plural string) int {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.lists[plural]
}

func (r *requests) watchFailed(_ context.Context, _ *cache.Reflector, err error) {
	if !errors.Is(err, io.EOF) { // the end of a watch whose time is over
		r.note("watch: " + err.Error())
	}
}
