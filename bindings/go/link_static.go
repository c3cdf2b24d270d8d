//go:build loam_static

package loam

// The archive comes first and has every symbol, so that a shared library beside it is not needed.

// #cgo pkg-config: --static loam
// #cgo LDFLAGS: -Wl,--as-needed -l:libloam.a
import "C"
