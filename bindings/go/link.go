//go:build !loam_static

package loam

// #cgo pkg-config: loam
import "C"
