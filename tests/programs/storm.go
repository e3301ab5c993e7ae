// Goroutines, system calls that block, a local server, signals, and other programs.
package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"
)

func main() {
	var wait sync.WaitGroup
	var lock sync.Mutex
	count := 0
	for i := 0; i < 2000; i++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			time.Sleep(time.Microsecond)
			syscall.Getppid()
			lock.Lock()
			count++
			lock.Unlock()
		}()
	}
	wait.Wait()
	fmt.Println("goroutines", count)

	// Loops that only preemption by signals can stop.
	done := make(chan int)
	for i := 0; i < 4; i++ {
		go func() {
			sum := 0
			for j := 0; j < 200000000; j++ {
				sum += j
			}
			done <- sum & 1
		}()
	}
	for i := 0; i < 20; i++ {
		runtime.GC()
	}
	for i := 0; i < 4; i++ {
		<-done
	}

	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello %s", r.URL.Path)
	}))
	for i := 0; i < 50; i++ {
		answer, err := http.Get(server.URL + fmt.Sprintf("/%d", i))
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		body, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if string(body) != fmt.Sprintf("hello /%d", i) {
			fmt.Println("wrong answer", string(body))
		}
	}
	server.Close()

	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	syscall.Kill(os.Getpid(), syscall.SIGUSR1)
	fmt.Println("signal", <-signals)

	output, err := exec.Command("sh", "-c", "echo started; exit 3").CombinedOutput()
	fmt.Printf("%q %v\n", output, err)
	_, err = exec.Command("/does/not/exist").Output()
	fmt.Println(err)
	exe, err := os.Executable()
	fmt.Println(exe != "", err)
}
