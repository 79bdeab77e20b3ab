// Command stdio-shim runs an MCP server that speaks over stdin and stdout inside its own container, and offers it on a Unix socket.
//
//	stdio-shim install DIR           copies itself to DIR, for an init container: the image needs neither shell nor cp
//	stdio-shim -- COMMAND [ARG...]   listens; every connection gets a process of its own, with true pipes
//
// Environment: STDIO_SHIM_SOCKET (default /run/mcp-fleet/stdio.sock), STDIO_SHIM_MAX_PROCESSES (default 32).
package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// A process whose connection ended has this long to end by itself, and as long again after SIGTERM.
const patience = 3 * time.Second

func main() {
	if len(os.Args) == 3 && os.Args[1] == "install" {
		exitOn(install(os.Args[2]), 1)
		os.Exit(0)
	}
	if len(os.Args) < 3 || os.Args[1] != "--" {
		exitOn(errors.New("usage: stdio-shim install DIR | stdio-shim -- COMMAND [ARG...]"), 2)
	}
	// A command that is not there is an error of the container, to be seen in its state, not one of the first caller.
	_, err := exec.LookPath(os.Args[2])
	exitOn(err, 127)
	limit, err := strconv.Atoi(setting("STDIO_SHIM_MAX_PROCESSES", "32"))
	exitOn(err, 2)
	listener, err := listen(setting("STDIO_SHIM_SOCKET", "/run/mcp-fleet/stdio.sock"))
	exitOn(err, 1)
	s := &shim{argv: os.Args[2:], limit: limit, running: map[int]bool{}}
	go s.reap()
	go s.serve(listener)
	s.forwardSignals(listener)
}

func exitOn(err error, code int) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "stdio-shim:", err)
		os.Exit(code)
	}
}

func setting(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}

func listen(path string) (net.Listener, error) {
	// A socket left by the container's last run; the volume outlives it.
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	// The guard has another uid; the pod's fsGroup is what the two share.
	return listener, os.Chmod(path, 0o660)
}

type shim struct {
	argv      []string
	limit     int
	mu        sync.Mutex
	running   map[int]bool
	ending    bool
	processes sync.WaitGroup
}

func (s *shim) serve(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			time.Sleep(100 * time.Millisecond)
		default:
			go s.run(conn.(*net.UnixConn))
		}
	}
}

// run gives the connection a process, and neither outlives the other.
func (s *shim) run(conn *net.UnixConn) {
	defer conn.Close()
	cmd := exec.Command(s.argv[0], s.argv[1:]...)
	cmd.Stdout, cmd.Stderr = conn, os.Stderr
	// A descendant that keeps the output open does not keep the connection.
	cmd.WaitDelay = time.Second
	// A group of its own, so that what it starts ends with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := cmd.StdinPipe()
	if err = errors.Join(err, s.start(cmd)); err != nil {
		fmt.Fprintln(os.Stderr, "stdio-shim: no process for a connection:", err)
		return
	}
	pid := cmd.Process.Pid
	go func() {
		io.Copy(stdin, conn)
		stdin.Close()
		// The caller has gone. A server that does not end at the end of its input is told to, and then made to.
		time.AfterFunc(patience, func() { s.signal(pid, syscall.SIGTERM) })
		time.AfterFunc(2*patience, func() { s.signal(pid, syscall.SIGKILL) })
	}()
	cmd.Wait()
	s.mu.Lock()
	delete(s.running, pid)
	s.mu.Unlock()
	// What the process left behind in its group has nobody to talk to.
	syscall.Kill(-pid, syscall.SIGKILL)
	s.processes.Done()
	fmt.Fprintln(os.Stderr, "stdio-shim: the server's process ended:", cmd.ProcessState)
}

func (s *shim) start(cmd *exec.Cmd) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending || len(s.running) >= s.limit {
		return fmt.Errorf("%d are running, at most %d may", len(s.running), s.limit)
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.running[cmd.Process.Pid] = true
	s.processes.Add(1)
	return nil
}

// signal reaches the whole group of a process that still runs; a pid that was given anew is never signalled.
func (s *shim) signal(pid int, sig syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running[pid] {
		syscall.Kill(-pid, sig)
	}
}

// forwardSignals passes signals on. The first one that ends us waits for the processes, at most for patience.
func (s *shim) forwardSignals(listener net.Listener) {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2)
	for received := range signals {
		terminate := received == syscall.SIGTERM || received == syscall.SIGINT
		s.mu.Lock()
		for pid := range s.running {
			syscall.Kill(-pid, received.(syscall.Signal))
		}
		s.ending = s.ending || terminate
		s.mu.Unlock()
		if !terminate {
			continue
		}
		listener.Close()
		go func() {
			s.processes.Wait()
			os.Exit(0)
		}()
		time.AfterFunc(patience, func() { os.Exit(0) })
	}
}

// reap collects what other processes left to us, as process 1 must, and leaves our own processes to run.
func (s *shim) reap() {
	const setChildSubreaper, all, exitedNoHangNoWait = 36, 0, 4 | 1 | 0x01000000
	// Also where we are not process 1, as in a pod with a shared process namespace.
	syscall.Syscall(syscall.SYS_PRCTL, setChildSubreaper, 1, 0)
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGCHLD)
	tick := time.NewTicker(time.Second)
	for {
		select {
		case <-ended:
		case <-tick.C:
		}
		for {
			// siginfo_t: the pid lies at 16 on 64-bit Linux. Looked at without collecting it.
			var info [32]int32
			_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, all, 0, uintptr(unsafe.Pointer(&info)), exitedNoHangNoWait, 0, 0)
			pid := int(info[4])
			if errno != 0 || pid == 0 || s.is(pid) {
				break
			}
			syscall.Wait4(pid, nil, 0, nil)
		}
	}
}

func (s *shim) is(pid int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running[pid]
}
