package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// run tells the writes of this process from those of an earlier one.
var run = strconv.FormatInt(time.Now().UnixNano(), 36) + "-"

const (
	stamp       = "bench/written-at" // an annotation: the run, and nanoseconds since it began
	opening     = 32                 // watches that are opened at the same time
	startUp     = 5                  // events that are not measured
	lineBytes   = 64 << 10
	deliverTime = 30 * time.Second
)

// watch lets many watchers follow one writer, who writes again when all have seen what he wrote. Its
// report counts deliveries; a delivery's time goes from the moment the write was sent.
func watch() (*report, error) {
	idle, err := serverMemory()
	if err != nil {
		return nil, err
	}
	seen := make(chan arrival, *watchers)
	began := time.Now()
	if err := openAll(seen, began); err != nil {
		return nil, err
	}
	busy, err := serverMemory()
	if err != nil {
		return nil, err
	}
	client, err := newClient()
	if err != nil {
		return nil, err
	}
	writer := &annotator{client: client, url: server(0) + "/api/v1/nodes/" + nodeName(0), began: began, seen: seen}
	for range startUp {
		if _, err := writer.write(nil); err != nil {
			return nil, err
		}
	}
	done, err := writer.measure()
	if err == nil {
		done.Memory = busy - idle
	}
	return done, err
}

// arrival is that one watcher saw an event, or that its watch ended.
type arrival struct {
	after time.Duration
	err   error
}

func openAll(seen chan<- arrival, began time.Time) error {
	free := make(chan struct{}, opening)
	opened := make(chan error, *watchers)
	for i := range *watchers {
		free <- struct{}{}
		go func() {
			response, err := openWatch(i)
			<-free
			opened <- err
			if err == nil {
				follow(response, seen, began)
			}
		}()
	}
	for range *watchers {
		if err := <-opened; err != nil {
			return err
		}
	}
	return nil
}

// openWatch returns when the server has answered.
func openWatch(number int) (*http.Response, error) {
	client, err := newClient()
	if err != nil {
		return nil, err
	}
	query := "?watch=true&allowWatchBookmarks=true&timeoutSeconds=600"
	request, err := newRequest(http.MethodGet, server(number)+"/api/v1/nodes"+query, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("a watch was answered with %d", response.StatusCode)
	}
	return response, nil
}

func follow(response *http.Response, seen chan<- arrival, began time.Time) {
	lines := bufio.NewReaderSize(response.Body, lineBytes)
	for {
		line, err := lines.ReadSlice('\n')
		if err != nil {
			seen <- arrival{err: fmt.Errorf("a watch ended: %w", err)}
			return
		}
		if written, found := writtenAt(line); found {
			seen <- arrival{after: time.Since(began) - written}
		}
	}
}

// writtenAt reads the stamp of an event, of which a server may send one line or many; the objects that a
// watch begins with carry none of this run.
func writtenAt(line []byte) (time.Duration, bool) {
	_, rest, found := bytes.Cut(line, []byte(stamp))
	if !found {
		return 0, false
	}
	_, rest, found = bytes.Cut(rest, []byte(run))
	if !found {
		return 0, false
	}
	digits, _, _ := bytes.Cut(rest, []byte{'"'})
	nanoseconds, err := strconv.ParseInt(string(digits), 10, 64)
	return time.Duration(nanoseconds), err == nil
}

type annotator struct {
	client *http.Client
	url    string
	began  time.Time
	seen   <-chan arrival
}

// write annotates the node, waits until every watcher has seen it, and appends how long that took each.
func (a *annotator) write(taken []time.Duration) ([]time.Duration, error) {
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:"%s%d"}}}`, stamp, run, time.Since(a.began).Nanoseconds())
	if err := call(a.client, http.MethodPatch, a.url, string(types.MergePatchType), []byte(patch), nil); err != nil {
		return nil, err
	}
	late := time.After(deliverTime)
	for number := range *watchers {
		select {
		case one := <-a.seen:
			if one.err != nil {
				return nil, one.err
			}
			taken = append(taken, one.after)
		case <-late:
			return nil, fmt.Errorf("%d of %d watchers have not seen a write after %s", *watchers-number, *watchers, deliverTime)
		}
	}
	return taken, nil
}

// measure writes until the server has used its budget.
func (a *annotator) measure() (*report, error) {
	before, err := serverCPU()
	if err != nil {
		return nil, err
	}
	var taken []time.Duration
	began, used := time.Now(), 0.0
	for (*budget == 0 || used < *budget) && time.Since(began) < *longest {
		if taken, err = a.write(taken); err != nil {
			return nil, err
		}
		now, err := serverCPU()
		if err != nil {
			return nil, err
		}
		used = now - before
	}
	return summary(taken, time.Since(began), used, 0), nil
}
