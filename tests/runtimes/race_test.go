package main

import (
	"sync"
	"testing"
)

func TestClean(t *testing.T) {
	var group sync.WaitGroup
	results := make([]int, 10)
	for i := range results {
		group.Add(1)
		go func(i int) { results[i] = i; group.Done() }(i)
	}
	group.Wait()
	goroutines()
}

func TestRacy(t *testing.T) { racy() }
