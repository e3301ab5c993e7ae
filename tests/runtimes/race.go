// Built by `go build -race`: `race clean` has no race, `race racy` one; without -race the same program
// shows Go's own signals (nil dereferences, preemption).
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"
)

func goroutines() {
	var group sync.WaitGroup
	var lock sync.Mutex
	sum := 0
	for i := 0; i < 50; i++ {
		group.Add(1)
		go func(n int) {
			defer group.Done()
			for j := 0; j < 100; j++ {
				lock.Lock()
				sum += n
				lock.Unlock()
			}
		}(i)
	}
	group.Wait()
	fmt.Println("sum:", sum)
}

// Preemption is a signal: a loop without calls is stopped for the collector.
func preempted() {
	done := make(chan bool)
	stop := false
	var lock sync.RWMutex
	go func() {
		for n := 0; ; n++ {
			if n%1000000 == 0 {
				lock.RLock()
				s := stop
				lock.RUnlock()
				if s {
					break
				}
			}
		}
		done <- true
	}()
	for i := 0; i < 5; i++ {
		runtime.GC()
	}
	lock.Lock()
	stop = true
	lock.Unlock()
	fmt.Println("preempted:", <-done)
}

type thing struct {
	next  *thing
	value int
}

func recovered() {
	caught := 0
	for i := 0; i < 100; i++ {
		func() {
			defer func() {
				if e := recover(); e != nil && strings.Contains(e.(error).Error(), "nil pointer") {
					caught++
				}
			}()
			var none *thing
			fmt.Println(none.value)
		}()
	}
	func() {
		defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
		defer func() { fmt.Println("fault:", recover() != nil) }()
		pages, _ := syscall.Mmap(-1, 0, 4096, syscall.PROT_NONE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
		fmt.Println(pages[0])
	}()
	zero := caught - 100
	func() {
		defer func() { fmt.Println("division:", recover()) }()
		fmt.Println(1 / zero)
	}()
	fmt.Println("recovered:", caught)
}

func signals() {
	notes := make(chan os.Signal, 100)
	signal.Notify(notes, syscall.SIGUSR1, syscall.SIGTERM)
	for i := 0; i < 20; i++ {
		syscall.Kill(os.Getpid(), syscall.SIGUSR1)
		<-notes
	}
	syscall.Kill(os.Getpid(), syscall.SIGTERM)
	fmt.Println("signal:", <-notes)
	signal.Stop(notes)
}

func programs() {
	for i := 0; i < 3; i++ {
		command := exec.Command("cat")
		command.Stdin = strings.NewReader("through cat\n")
		output, err := command.Output()
		fmt.Print(string(output), err, "\n")
	}
	_, err := exec.Command("sh", "-c", "exit 3").Output()
	fmt.Println(err)
	limit, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	fmt.Println(exec.CommandContext(limit, "sleep", "100").Run())
}

func web() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %d", r.URL.Path, len(body))
	})}
	go server.Serve(listener)
	var group sync.WaitGroup
	answers := make([]string, 20)
	for i := range answers {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			url := fmt.Sprintf("http://%s/%d", listener.Addr(), i)
			answer, err := http.Post(url, "text/plain", bytes.NewReader(make([]byte, 1000*i)))
			if err != nil {
				answers[i] = err.Error()
				return
			}
			text, _ := io.ReadAll(answer.Body)
			answer.Body.Close()
			answers[i] = string(text)
		}(i)
	}
	group.Wait()
	fmt.Println(strings.Join(answers, ", "))
	fmt.Println(server.Close())
}

func racy() {
	value := 0
	done := make(chan bool)
	go func() {
		value++
		done <- true
	}()
	value++
	<-done
	fmt.Println("raced:", value > 0)
}

func main() {
	switch os.Args[1] {
	case "racy":
		racy()
	case "nil":
		var none *thing
		fmt.Println(none.value)
	case "quit":
		syscall.Kill(os.Getpid(), syscall.SIGQUIT)
		time.Sleep(time.Minute)
	default:
		goroutines()
		preempted()
		recovered()
		signals()
		programs()
		web()
	}
}
