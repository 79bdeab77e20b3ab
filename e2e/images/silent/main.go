// Command silent accepts TCP connections on port 8080 and never answers: a server that looks alive to the kubelet and is dead to its callers.
// It takes a tenth of the memory of anything in Node, so that a test can have many.
package main

import (
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	listener, err := net.Listen("tcp", ":8080")
	if err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	go func() {
		<-signals
		os.Exit(0)
	}()
	for {
		connection, err := listener.Accept()
		if err != nil {
			continue
		}
		// Reads on, so that nobody notices a full buffer.
		go func() {
			defer connection.Close()
			_, _ = io.Copy(io.Discard, connection)
		}()
	}
}
