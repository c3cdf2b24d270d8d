#include "placement.h"
#include "output.h"

bool placement_run(const loam_plan *plan, size_t device, uint32_t *first, uint32_t *last)
{
    int32_t at;
    while ((at = loam_plan_layer_device(plan, *first)) != (int32_t)device)
        if (at < 0) return false;
        else ++*first;
    for (*last = *first; loam_plan_layer_device(plan, *last + 1) == (int32_t)device;)
        ++*last;
    return true;
}

static void print_device(FILE *out, const loam_plan *plan, size_t i, const loam_plan_device *device)
{
    char bytes[24], limit[24];

    fprintf(out, "  on %-11s %12s  of %s", device->name, size_words(device->bytes, bytes),
            size_words(device->limit_bytes, limit));
    if (device->flags & LOAM_PLAN_EMBEDDING) fprintf(out, ", embedding");
    for (uint32_t first = 0, last; placement_run(plan, i, &first, &last); first = last + 1)
        fprintf(out, ", layers %u-%u", first, last);
    if (device->flags & LOAM_PLAN_OUTPUT) fprintf(out, ", output");
    if (device->flags & LOAM_PLAN_EXPERTS) fprintf(out, ", experts of others");
    if (device->token_seconds > 0) fprintf(out, ", %.2f ms a token", device->token_seconds * 1e3);
    fprintf(out, "\n");
}

void placement_print(FILE *out, const loam_plan *plan)
{
    for (size_t i = 0; i < loam_plan_device_count(plan); i++) {
        loam_plan_device device;
        loam_plan_device_init(&device);
        if (loam_plan_get_device(plan, i, &device) == LOAM_OK) print_device(out, plan, i, &device);
    }
}

void placement_announce(loam *m, const loam_options *options)
{
    loam_plan *plan = NULL;

    if (!options->n_devices && !options->backend) return;
    if (loam_plan_loaded(m, &plan) == LOAM_OK) placement_print(stderr, plan);
    loam_plan_free(plan);
}
