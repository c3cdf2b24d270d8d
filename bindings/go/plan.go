package loam

// #include "shim.h"
import "C"

import (
	"strings"
	"unsafe"
)

// Plan says what loading a file would take, to the byte.
type Plan struct {
	Fits                bool   // within LimitBytes, each device within its own
	WeightsBytes        uint64 // mapped and private
	WeightsMappedBytes  uint64 // shared with the file cache
	KVBytes             uint64
	OverheadBytes       uint64 // activations, logits, scratch, tables, vocabulary, handle
	TotalBytes          uint64 // shared and private
	SharedBytes         uint64 // what other processes that map the file have too
	PrivateBytes        uint64
	PeakResidentBytes   uint64 // what loam adds to the process with the whole context in use
	LimitBytes          uint64
	TokenReadBytes      uint64 // read for one decoded token with an empty context
	KVTokenBytes        uint64 // KV of one token over all layers
	Parameters          float64
	BitsPerWeight       float64
	ContextTokens       int // of a sequence
	Sequences           int
	KVBlockTokens       int
	KVBlocksPerSequence int
	Devices             []PlanDevice
	Areas               []PlanArea
	Changes             []PlanChange // what would make it fit that does not
}

// PlanDevice is what a plan puts on one device.
type PlanDevice struct {
	Name       string
	Host       bool // its memory is the host's
	Layers     int
	FirstLayer int // where Layers is not 0
	Bytes      uint64
	LimitBytes uint64
}

// PlanArea is one named piece of memory.
type PlanArea struct {
	Name   string // "weights", "kv", "activations", …
	Device int    // index
	Bytes  uint64
}

// PlanChange is the smallest change of its kind that makes a plan fit. Those of one choice go
// together; any choice is enough.
type PlanChange struct {
	Kind       ChangeKind
	Value      float64
	Name       string // of a format or a KV type
	TotalBytes uint64 // of the plan that is made so
	Choice     int
}

// ChangeKind says which option a change is of.
type ChangeKind int32

// Kinds of changes, and what their value is.
const (
	ChangeSequences ChangeKind = C.LOAM_CHANGE_SEQUENCES // Sequences
	ChangeKVTokens  ChangeKind = C.LOAM_CHANGE_KV_TOKENS // KVTokens
	ChangeKVType    ChangeKind = C.LOAM_CHANGE_KV_TYPE   // KVTypes
	ChangeContext   ChangeKind = C.LOAM_CHANGE_CONTEXT   // ContextTokens
	ChangeFormat    ChangeKind = C.LOAM_CHANGE_FORMAT    // bits a weight of another file
)

// PlanFile plans a model file with the options that it would be loaded with. It reads the header
// only. With [ErrNoFit] there is a whole plan all the same, and what would make it fit.
func PlanFile(path string, options ...Option) (*Plan, error) {
	if strings.ContainsRune(path, 0) {
		return nil, argError("the path %q has a zero byte", path)
	}
	config := newConfig(options)
	var lent lent
	defer lent.Unpin()
	o, handle := config.options(&lent)
	if handle != 0 {
		defer handle.Delete()
	}
	if config.err != nil {
		return nil, config.err
	}
	p := append([]byte(path), 0)
	var c *C.loam_plan
	st := C.loam_plan_file((*C.char)(unsafe.Pointer(&p[0])), o, &c)
	defer C.loam_plan_free(c)
	err := config.hooks.caught.take()
	if st != ok {
		err = &Error{Status: Status(st), Text: C.GoString(C.loam_plan_error(c)), cause: err}
	}
	if st != ok && st != C.LOAM_ERR_NOFIT {
		return nil, err
	}
	return readPlan(c), err
}

func readPlan(c *C.loam_plan) *Plan {
	var t C.loam_plan_totals
	C.loam_plan_totals_init(&t)
	C.loam_plan_get_totals(c, &t)
	p := &Plan{
		Fits:                t.fits != 0,
		WeightsBytes:        uint64(t.weights_bytes),
		WeightsMappedBytes:  uint64(t.weights_mapped_bytes),
		KVBytes:             uint64(t.kv_bytes),
		OverheadBytes:       uint64(t.overhead_bytes),
		TotalBytes:          uint64(t.total_bytes),
		SharedBytes:         uint64(t.shared_bytes),
		PrivateBytes:        uint64(t.private_bytes),
		PeakResidentBytes:   uint64(t.peak_resident_bytes),
		LimitBytes:          uint64(t.limit_bytes),
		TokenReadBytes:      uint64(t.token_read_bytes),
		KVTokenBytes:        uint64(t.kv_token_bytes),
		Parameters:          float64(t.parameters),
		BitsPerWeight:       float64(t.bits_per_weight),
		ContextTokens:       int(t.context_tokens),
		Sequences:           int(t.sequences),
		KVBlockTokens:       int(t.block_tokens),
		KVBlocksPerSequence: int(t.blocks_per_sequence),
	}
	for i := C.size_t(0); i < C.loam_plan_device_count(c); i++ {
		var d C.loam_plan_device
		C.loam_plan_device_init(&d)
		C.loam_plan_get_device(c, i, &d)
		p.Devices = append(p.Devices, PlanDevice{C.GoString(d.name), d.flags&C.LOAM_PLAN_HOST != 0, int(d.layers),
			int(d.first_layer), uint64(d.bytes), uint64(d.limit_bytes)})
	}
	for i := C.size_t(0); i < C.loam_plan_area_count(c); i++ {
		var a C.loam_plan_area
		C.loam_plan_area_init(&a)
		C.loam_plan_get_area(c, i, &a)
		p.Areas = append(p.Areas, PlanArea{C.GoString(a.name), int(a.device), uint64(a.bytes)})
	}
	for i := C.size_t(0); i < C.loam_plan_change_count(c); i++ {
		var g C.loam_plan_change
		C.loam_plan_change_init(&g)
		C.loam_plan_get_change(c, i, &g)
		p.Changes = append(p.Changes, PlanChange{ChangeKind(g.kind), float64(g.value), C.GoString(g.name),
			uint64(g.total_bytes), int(g.choice)})
	}
	return p
}
