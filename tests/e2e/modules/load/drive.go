package main

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	warmUp = 300 * time.Millisecond
	look   = 20 * time.Millisecond // at the server's CPU time, which ticks every 10 ms
)

// operation does one thing once and returns the size of the answer.
type operation func() (int, error)

// drive runs each operation again and again, all at the same time: for a moment unmeasured, then until
// the server has used its budget of CPU.
func drive(operations []operation) (*report, error) {
	if _, _, err := runFor(operations, func(began time.Time) (bool, error) { return time.Since(began) > warmUp, nil }); err != nil {
		return nil, err
	}
	before, err := serverCPU()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	taken, bytes, err := runFor(operations, func(began time.Time) (bool, error) {
		now, err := serverCPU()
		spent := *budget > 0 && now-before >= *budget
		return spent || time.Since(began) > *longest, err
	})
	if err != nil {
		return nil, err
	}
	elapsed := time.Since(began)
	after, err := serverCPU()
	if err != nil {
		return nil, err
	}
	return summary(taken, elapsed, after-before, bytes), nil
}

// runFor runs the operations until `enough` says so, and lets those that have begun come to their end.
func runFor(operations []operation, enough func(began time.Time) (bool, error)) ([]time.Duration, int, error) {
	var (
		running sync.WaitGroup
		ended   atomic.Bool
		failed  = make(chan error, len(operations)+1)
		taken   = make([][]time.Duration, len(operations))
		bytes   atomic.Int64
	)
	began := time.Now()
	for i, one := range operations {
		running.Go(func() {
			pace := newPace(i, len(operations))
			for first := true; first || !ended.Load(); first = false {
				pace.wait()
				start := time.Now()
				size, err := one()
				if err != nil {
					failed <- err
					ended.Store(true)
					return
				}
				taken[i] = append(taken[i], time.Since(start))
				bytes.Add(int64(size))
			}
		})
	}
	for !ended.Load() {
		time.Sleep(look)
		done, err := enough(began)
		if err != nil {
			failed <- err
		}
		if done || err != nil {
			ended.Store(true)
		}
	}
	running.Wait()
	return collect(taken, int(bytes.Load()), failed)
}

func collect(taken [][]time.Duration, bytes int, failed <-chan error) ([]time.Duration, int, error) {
	select {
	case err := <-failed:
		return nil, 0, err
	default:
	}
	var all []time.Duration
	for _, some := range taken {
		all = append(all, some...)
	}
	return all, bytes, nil
}

// pace spreads the operations of one connection evenly, so that all together keep the rate.
type pace struct {
	next time.Time
	step time.Duration
}

func newPace(number, of int) *pace {
	if *rate == 0 {
		return &pace{}
	}
	step := time.Duration(float64(of) / *rate * float64(time.Second))
	return &pace{next: time.Now().Add(step * time.Duration(number) / time.Duration(of)), step: step}
}

func (p *pace) wait() {
	if p.step > 0 {
		time.Sleep(time.Until(p.next))
		p.next = p.next.Add(p.step)
	}
}
