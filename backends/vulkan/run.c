/* A step: what kernels need to know of it, and the run of a program. */
#include <math.h>
#include <string.h>

#include "lib/base/os.h"
#include "program.h"

/* ---- the step's data ---- */

static void write_words(uint32_t *to, const int32_t *from, uint32_t n)
{
    if (n) memcpy(to, from, n * sizeof *to);
}

/* Of the block tables those of sequences that the step has. */
static void write_tables(const program *p, const loam_step *step, uint8_t *scratch)
{
    const size_t row = step->blocks_per_table;
    int32_t *to = (int32_t *)(void *)(scratch + p->tables_at);
    for (uint32_t t = 0; t < step->n_tokens; t++) {
        if (t > 0 && step->tables[t] == step->tables[t - 1]) continue;
        for (uint32_t g = 0; g < p->groups; g++) {
            const size_t at = ((size_t)g * step->n_tables + (uint32_t)step->tables[t]) * row;
            memcpy(to + at, step->block_tables + at, row * sizeof *to);
        }
    }
}

static void write_ropes(const program *p, const loam_step *step, uint8_t *scratch)
{
    for (uint32_t i = 0; i < p->n_ropes; i++) {
        const rope_table *rope = &p->ropes[i];
        float *table = (float *)(void *)(scratch + rope->at);
        for (uint32_t t = 0; t < step->n_tokens; t++) {
            float turn = (float)step->positions[t];
            for (uint32_t j = 0; j < rope->rotary_values / 2; j++, turn *= rope->step) {
                const float angle = turn * rope->scales[j];
                *table++ = cosf(angle) * rope->magnitude;
                *table++ = sinf(angle) * rope->magnitude;
            }
        }
    }
}

static void write_step(const program *p, const loam_step *step)
{
    uint8_t *scratch = p->device->blocks[p->scratch->chunks[0]].mapped;
    uint32_t *head = (uint32_t *)(void *)scratch, *arrays = head + STEP_HEAD;
    const uint64_t tables = loam__vk_arena_base(p->scratch, 0) + p->tables_at;
    const uint32_t words[STEP_HEAD] = {step->n_tokens, step->n_outputs,  step->blocks_per_table,
                                       step->n_tables, (uint32_t)tables, (uint32_t)(tables >> 32),
                                       p->max_tokens};
    memcpy(head, words, sizeof words);
    write_words(arrays, step->tokens, step->n_tokens);
    write_words(arrays + p->max_tokens, step->positions, step->n_tokens);
    write_words(arrays + 2 * (size_t)p->max_tokens, step->tables, step->n_tokens);
    write_words(arrays + 3 * (size_t)p->max_tokens, step->output_rows, step->n_outputs);
    write_tables(p, step, scratch);
    write_ropes(p, step, scratch);
}

/* ---- the run ---- */

#define IN_FLIGHT 2u /* segments that the device has at once: it never waits for the host */

static loam_status asked(const loam_step *step)
{
    return step->should_stop ? step->should_stop(step->stop_ctx) : LOAM_OK;
}

/* How fast the device is, from segments that are long enough to tell. */
static void learn_speed(loam__vk_device *d, uint64_t macs, uint64_t ns)
{
    if (ns < 500000 || macs < 100000) return;
    const double now = (double)macs * 1e6 / (double)ns;
    d->macs_per_ms = d->macs_per_ms * 0.75 + now * 0.25;
}

/* Wait for a segment; *stop is set when the host asks for it meanwhile. */
static loam_status wait_segment(loam__vk_device *d, uint64_t value, const loam_step *step,
                                loam_status *stop)
{
    uint32_t waited = 0;
    bool done = false;
    loam_status st = LOAM_OK;
    while (st == LOAM_OK && !done) {
        st = loam__vk_wait_some(d, value, &waited, &done);
        if (*stop == LOAM_OK) *stop = asked(step);
    }
    return st;
}

/* Segments are submitted ahead of those that are waited for. */
static loam_status run_segments(program *p, recording *r, const loam_step *step, uint64_t *position)
{
    loam__vk_device *d = p->device;
    uint64_t values[IN_FLIGHT], done = *position, sent = done, before = loam__now_ns();
    loam_status stop = asked(step), st = LOAM_OK;
    while (done < r->n && (stop == LOAM_OK || done < sent)) {
        while (st == LOAM_OK && stop == LOAM_OK && sent < r->n && sent - done < IN_FLIGHT) {
            st = loam__vk_submit(d, r->segments[sent], &values[sent % IN_FLIGHT]);
            if (st == LOAM_OK) sent++;
        }
        if (st == LOAM_OK) st = wait_segment(d, values[done % IN_FLIGHT], step, &stop);
        if (st != LOAM_OK) return st;
        const uint64_t now = loam__now_ns();
        learn_speed(d, r->macs[done], now - before);
        before = now;
        done++;
    }
    *position = done;
    return done < r->n ? stop : LOAM_OK;
}

/* Op by op, each timed. A position counts ops here. */
static loam_status run_timed(program *p, const loam_step *step, uint64_t *position)
{
    loam__vk_device *d = p->device;
    for (uint64_t i = *position; i < p->n_ops; i++) {
        const op *o = &p->ops[i];
        loam_status st = asked(step);
        *position = i;
        if (st != LOAM_OK) return st;
        const uint64_t start = loam__now_ns();
        st = loam__vk_begin(d, d->once);
        if (st == LOAM_OK)
            st = loam__vk_record_op(p, o, loam__vk_rows_of(o, step->n_tokens, step->n_outputs),
                                    d->once);
        if (st == LOAM_OK) st = loam__vk_finish_once(d);
        if (st != LOAM_OK) return st;
        step->took(step->took_ctx, o->name, o->type, loam__now_ns() - start);
    }
    *position = p->n_ops;
    return LOAM_OK;
}

loam_status loam__vk_run(void *self, const loam_step *step, uint64_t *position)
{
    program *p = self;
    recording *r;
    if (step->n_tokens > p->max_tokens || step->n_outputs > p->max_outputs ||
        (p->groups &&
         (step->n_tables != p->n_tables || step->blocks_per_table != p->blocks_per_table)))
        return loam__fail(&p->device->vk->base, LOAM_ERR_INTERNAL,
                          "a step of %u tokens, %u outputs and %u block tables is not the graph's",
                          step->n_tokens, step->n_outputs, step->n_tables);
    write_step(p, step);
    if (step->took) return run_timed(p, step, position);
    loam_status st = loam__vk_recording_get(p, step, *position > 0, &r);
    return st == LOAM_OK ? run_segments(p, r, step, position) : st;
}
