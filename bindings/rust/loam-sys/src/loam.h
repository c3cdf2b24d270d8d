/* What renew.sh makes bindings.rs from: the headers for those who run models. */
#include <loam/gguf.h>
#include <loam/loam.h>
#include <loam/plan.h>
#include <loam/quant.h>
#include <loam/queue.h>
