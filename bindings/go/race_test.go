//go:build race

package loam_test

func init() { raced = true }
