/* The initialisers of every public struct: zero is the default, and the size is stamped. */
#include <loam/gguf.h>
#include <loam/plan.h>
#include <loam/quant.h>
#include <loam/queue.h>
#include <string.h>

static void init(void *p, size_t n)
{
    uint32_t size = (uint32_t)n;
    if (!p) return;
    memset(p, 0, n);
    memcpy(p, &size, sizeof size);
}

void loam_options_init(loam_options *p)
{
    init(p, sizeof *p);
}
void loam_hooks_init(loam_hooks *p)
{
    init(p, sizeof *p);
}
void loam_device_init(loam_device *p)
{
    init(p, sizeof *p);
    if (p) p->layers = -1;
}
void loam_source_init(loam_source *p)
{
    init(p, sizeof *p);
}
void loam_info_init(loam_info *p)
{
    init(p, sizeof *p);
}
void loam_stream_init(loam_stream *p)
{
    init(p, sizeof *p);
}
void loam_read_event_init(loam_read_event *p)
{
    init(p, sizeof *p);
}
void loam_sampling_init(loam_sampling *p)
{
    init(p, sizeof *p);
}
void loam_usage_init(loam_usage *p)
{
    init(p, sizeof *p);
}
void loam_profile_init(loam_profile *p)
{
    init(p, sizeof *p);
}
void loam_format_info_init(loam_format_info *p)
{
    init(p, sizeof *p);
}
void loam_gguf_meta_init(loam_gguf_meta *p)
{
    init(p, sizeof *p);
}
void loam_gguf_tensor_init(loam_gguf_tensor *p)
{
    init(p, sizeof *p);
}
void loam_plan_geometry_init(loam_plan_geometry *p)
{
    init(p, sizeof *p);
}
void loam_plan_totals_init(loam_plan_totals *p)
{
    init(p, sizeof *p);
}
void loam_plan_device_init(loam_plan_device *p)
{
    init(p, sizeof *p);
}
void loam_plan_area_init(loam_plan_area *p)
{
    init(p, sizeof *p);
}
void loam_plan_target_init(loam_plan_target *p)
{
    init(p, sizeof *p);
}
void loam_plan_machine_init(loam_plan_machine *p)
{
    init(p, sizeof *p);
}
void loam_plan_bound_init(loam_plan_bound *p)
{
    init(p, sizeof *p);
}
void loam_plan_change_init(loam_plan_change *p)
{
    init(p, sizeof *p);
}
void loam_quality_init(loam_quality *p)
{
    init(p, sizeof *p);
}
void loam_queue_options_init(loam_queue_options *p)
{
    init(p, sizeof *p);
}
void loam_submission_init(loam_submission *p)
{
    init(p, sizeof *p);
}
void loam_queue_event_init(loam_queue_event *p)
{
    init(p, sizeof *p);
}
void loam_queue_stats_init(loam_queue_stats *p)
{
    init(p, sizeof *p);
}
