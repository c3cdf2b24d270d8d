package loam_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"loam"
)

// data is the folder of the tiny models, which tests/data/make_models.py writes.
var data = os.Getenv("LOAM_TEST_DATA")

func TestMain(m *testing.M) {
	if data != "" {
		os.Exit(m.Run())
	}
	folder, err := os.MkdirTemp("", "loam")
	if err != nil {
		log.Fatal(err)
	}
	data = folder
	script := exec.Command("python3", "-B", "../../tests/data/make_models.py", folder)
	script.Stderr = os.Stderr
	if err := script.Run(); err != nil {
		log.Fatal("LOAM_TEST_DATA is not set, and making the tiny models failed: ", err)
	}
	status := m.Run()
	os.RemoveAll(folder)
	os.Exit(status)
}

var raced = false // the tests run under the race detector

var background = context.Background()

func tiny() string { return filepath.Join(data, "tiny-llama.gguf") }

// fixed makes results the same on every machine.
var fixed = []loam.Option{loam.ISA("scalar"), loam.ContextTokens(256), loam.Threads(2), loam.Sequences(2)}

func must[T any](t testing.TB, value T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func load(t testing.TB, options ...loam.Option) *loam.Model {
	t.Helper()
	m, err := loam.Load(tiny(), append(fixed[:len(fixed):len(fixed)], options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func open(t testing.TB, m *loam.Model) *loam.Sequence {
	t.Helper()
	s, err := m.NewSequence()
	return must(t, s, err)
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// fails checks that err is of that status.
func fails(t testing.TB, err error, status loam.Status) *loam.Error {
	t.Helper()
	e, is := err.(*loam.Error)
	if !is || e.Status != status {
		t.Fatalf("got the error %v, want one of %v", err, status)
	}
	return e
}

// failing is a reader that does what it is told, from a position on.
type failing struct {
	io.ReaderAt
	from int64
	fail func() error
}

func (f *failing) ReadAt(b []byte, at int64) (int, error) {
	if at+int64(len(b)) > f.from {
		return 0, f.fail()
	}
	return f.ReaderAt.ReadAt(b, at)
}

func collect[T any](seq func(func(T, error) bool)) (all []T, err error) {
	for v, e := range seq {
		if e != nil {
			return all, e
		}
		all = append(all, v)
	}
	return all, nil
}

// residentBytes is what /proc says of this process; 0 where there is none.
func residentBytes() int64 {
	var size, resident int64
	statm, _ := os.ReadFile("/proc/self/statm")
	fmt.Sscan(string(statm), &size, &resident)
	return resident * int64(os.Getpagesize())
}
