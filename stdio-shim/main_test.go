package main

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// start builds nothing: the test binary itself becomes the shim when it is asked to.
func TestMain(m *testing.M) {
	if os.Getenv("STDIO_SHIM_UNDER_TEST") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func shimWith(t *testing.T, environment []string, argv ...string) (string, *exec.Cmd) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s.sock")
	cmd := exec.Command(os.Args[0], append([]string{"--"}, argv...)...)
	cmd.Env = append(append(os.Environ(), "STDIO_SHIM_UNDER_TEST=1", "STDIO_SHIM_SOCKET="+socket), environment...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	eventually(t, func() bool { _, err := os.Stat(socket); return err == nil })
	return socket, cmd
}

func dial(t *testing.T, socket string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	return conn, bufio.NewReader(conn)
}

func eventually(t *testing.T, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatal("it never happened")
}

func line(t *testing.T, reader *bufio.Reader) string {
	t.Helper()
	text, err := reader.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(text)
}

func alive(pid string) bool {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func TestEveryConnectionHasAProcessThatEndsWithIt(t *testing.T) {
	socket, _ := shimWith(t, nil, "sh", "-c", "echo $$; cat")
	first, a := dial(t, socket)
	_, b := dial(t, socket)
	one, two := line(t, a), line(t, b)
	if one == two {
		t.Fatal("two connections share a process")
	}
	first.Write([]byte("hello\n"))
	if got := line(t, a); got != "hello" {
		t.Fatalf("got %q", got)
	}
	first.Close()
	eventually(t, func() bool { return !alive(one) })
	if !alive(two) {
		t.Fatal("the other process ended too")
	}
}

func TestAProcessThatEndsClosesItsConnectionAndTheNextOneWorks(t *testing.T) {
	socket, _ := shimWith(t, nil, "sh", "-c", "echo $$; read x; exit 3")
	conn, reader := dial(t, socket)
	line(t, reader)
	conn.Write([]byte("\n"))
	if _, err := reader.ReadString('\n'); err == nil {
		t.Fatal("the connection stayed open")
	}
	_, again := dial(t, socket)
	line(t, again)
}

func TestProcessesAreLimited(t *testing.T) {
	socket, _ := shimWith(t, []string{"STDIO_SHIM_MAX_PROCESSES=1"}, "sh", "-c", "echo $$; cat")
	_, a := dial(t, socket)
	line(t, a)
	_, b := dial(t, socket)
	if _, err := b.ReadString('\n'); err == nil {
		t.Fatal("a second process was started")
	}
}

func TestSignalsReachTheProcessAndEndTheShim(t *testing.T) {
	socket, shim := shimWith(t, nil, "sh", "-c", "trap 'echo terminated; exit 0' TERM; echo ready; while :; do sleep 0.05; done")
	_, reader := dial(t, socket)
	line(t, reader)
	shim.Process.Signal(syscall.SIGTERM)
	if got := line(t, reader); got != "terminated" {
		t.Fatalf("got %q", got)
	}
	if err := shim.Wait(); err != nil {
		t.Fatal(err)
	}
}

func TestOrphansAreReaped(t *testing.T) {
	socket, shim := shimWith(t, nil, "sh", "-c", "setsid sh -c 'echo $$; sleep 0.2' & wait; read x")
	_, reader := dial(t, socket)
	orphan := line(t, reader)
	eventually(t, func() bool {
		_, err := os.Stat("/proc/" + orphan)
		return os.IsNotExist(err)
	})
	if !alive(strconv.Itoa(shim.Process.Pid)) {
		t.Fatal("the shim ended")
	}
}

func TestTheSocketOfTheLastRunIsReplaced(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s.sock")
	for range 2 {
		listener, err := listen(socket)
		if err != nil {
			t.Fatal(err)
		}
		listener.(*net.UnixListener).SetUnlinkOnClose(false)
		listener.Close()
	}
	if mode, _ := os.Stat(socket); mode.Mode().Perm() != 0o660 {
		t.Fatalf("mode %v", mode.Mode())
	}
}

func TestItInstallsItself(t *testing.T) {
	dir := t.TempDir()
	if err := install(dir); err != nil {
		t.Fatal(err)
	}
	stat, err := os.Stat(filepath.Join(dir, "stdio-shim"))
	if err != nil || stat.Mode().Perm() != 0o755 {
		t.Fatal(err, stat)
	}
}

func TestACommandThatIsNotThereEndsTheContainer(t *testing.T) {
	cmd := exec.Command(os.Args[0], "--", "/no/such/command")
	cmd.Env = append(os.Environ(), "STDIO_SHIM_UNDER_TEST=1")
	cmd.Run()
	if code := cmd.ProcessState.ExitCode(); code != 127 {
		t.Fatalf("exit code %d", code)
	}
}
