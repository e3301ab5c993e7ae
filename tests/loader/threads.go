// Goroutines, garbage, signals of the runtime, and what the program sees of itself.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sync"
)

func main() {
	var wait sync.WaitGroup
	sums := make([]int, 64)
	for i := range sums {
		wait.Add(1)
		go func(i int) {
			defer wait.Done()
			for round := 0; round < 200; round++ {
				block := make([]int, 1000)
				for j := range block {
					block[j] = i
					sums[i] += block[j] % 7
				}
			}
		}(i)
	}
	wait.Wait()
	runtime.GC()
	fmt.Println(sums, os.Args, len(os.Environ()))
}
