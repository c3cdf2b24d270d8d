/* What cgo cannot write: C functions that call Go, and structs that hold such functions. */
#ifndef LOAM_GO_SHIM_H
#define LOAM_GO_SHIM_H

#include <loam/loam.h>
#include <loam/plan.h>
#include <loam/queue.h>
#include <stdlib.h>

/* Initialise, with functions that call the Go value behind the cgo.Handle. */
void loam_go_hooks_init(loam_hooks *hooks, uintptr_t handle, int32_t log, int32_t clock);
void loam_go_source_init(loam_source *source, uintptr_t handle, uint64_t size_bytes);

#endif
