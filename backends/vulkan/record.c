/* Recording a program's ops for steps of some width. */
#include "program.h"

#include <string.h>

#define SEGMENT_MS 8 /* that a submission shall take at most: what cannot be interrupted */

uint32_t loam__vk_rows_of(const op *o, uint32_t tokens, uint32_t outputs)
{
    return o->rows == LOAM_ROWS_OUTPUTS ? outputs : tokens;
}

static uint32_t divide_up(uint32_t a, uint32_t b)
{
    return a / b + (a % b != 0);
}

/* ---- what must wait for what ---- */

/* What was read and written since the last barrier. */
#define TOUCHED 24u

typedef struct touched {
    range reads[TOUCHED], writes[TOUCHED];
    uint32_t n_reads, n_writes;
} touched;

static bool meets(const range *a, const range *b, uint32_t n)
{
    for (uint32_t i = 0; a->arena && i < n; i++)
        if (a->arena == b[i].arena && a->start < b[i].end && b[i].start < a->end) return true;
    return false;
}

static bool must_wait(const touched *t, const op *o)
{
    if (t->n_reads + LOAM_NODE_SOURCES > TOUCHED || t->n_writes == TOUCHED) return true;
    for (int i = 0; i < LOAM_NODE_SOURCES; i++)
        if (meets(&o->reads[i], t->writes, t->n_writes)) return true;
    return meets(&o->write, t->writes, t->n_writes) || meets(&o->write, t->reads, t->n_reads);
}

static void touch(touched *t, const op *o)
{
    for (int i = 0; i < LOAM_NODE_SOURCES; i++)
        if (o->reads[i].arena) t->reads[t->n_reads++] = o->reads[i];
    t->writes[t->n_writes++] = o->write;
}

/* ---- dispatches ---- */

static const variant *choose(const op *o, uint32_t rows)
{
    return &o->variants[rows <= 1 ? 0 : rows <= 4 ? 1 : 2];
}

/* Slice i of n: some of the workgroups. */
static void dispatch(program *p, const op *o, uint32_t rows, uint32_t i, uint32_t n,
                     VkCommandBuffer commands)
{
    const loam__vk_device *d = p->device;
    const variant *v = choose(o, rows);
    loam__vk_push push = o->push;
    uint32_t x = v->groups, y = divide_up(rows, v->group_rows);
    if (x == 0) { /* one dimension is the rows */
        x = y;
        y = 1;
    }
    uint32_t *n_cut = o->cut == CUT_ITEMS ? &x : &y;
    uint32_t first = (uint32_t)((uint64_t)*n_cut * i / n);
    *n_cut = (uint32_t)((uint64_t)*n_cut * (i + 1) / n) - first;
    if (o->cut == CUT_ITEMS) push.u[7] += first * v->group_items;
    if (o->cut == CUT_ROWS) push.u[10] += first * v->group_rows;
    d->f.CmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, v->pipeline);
    if (o->set)
        d->f.CmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, d->layout, 0, 1,
                                   &o->set, 0, NULL);
    d->f.CmdPushConstants(commands, d->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof push, &push);
    d->f.CmdDispatch(commands, x, y, 1);
}

loam_status loam__vk_record_op(program *p, const op *o, uint32_t rows, VkCommandBuffer commands)
{
    if (rows > 0) dispatch(p, o, rows, 0, 1, commands);
    return LOAM_OK;
}

/* ---- recordings ---- */

typedef struct recorder {
    program *p;
    recording *r;
    touched touched;
    uint64_t most_macs; /* of a segment */
    bool open;
} recorder;

static loam_status end_segment(recorder *c)
{
    if (!c->open) return LOAM_OK;
    c->open = false;
    return loam__vk_end(c->p->device, c->r->segments[c->r->n++]);
}

static loam_status begin_segment(recorder *c)
{
    loam__vk_device *d = c->p->device;
    VkCommandBufferAllocateInfo one = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                       .commandPool = d->pool,
                                       .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                       .commandBufferCount = 1};
    if (c->r->n == SEGMENTS)
        return loam__fail(&d->vk->base, LOAM_ERR_INTERNAL, "too many segments of a step");
    VkCommandBuffer *commands = &c->r->segments[c->r->n];
    VkResult r = d->f.AllocateCommandBuffers(d->device, &one, commands);
    if (r != VK_SUCCESS) return loam__vk_failed(d, r, "recording");
    c->r->macs[c->r->n] = 0;
    c->touched.n_reads = c->touched.n_writes = 0; /* a segment begins with a barrier */
    c->open = true;
    return loam__vk_begin(d, *commands);
}

static loam_status record_slice(recorder *c, const op *o, uint32_t rows, uint32_t i, uint32_t n)
{
    const uint64_t macs = o->row_macs * rows / n;
    loam_status st = LOAM_OK;
    uint64_t *so_far = &c->r->macs[c->r->n];
    if (c->open && *so_far > 0 && *so_far + macs > c->most_macs && c->r->n + 2 < SEGMENTS)
        st = end_segment(c);
    if (st == LOAM_OK && !c->open) st = begin_segment(c);
    if (st != LOAM_OK) return st;
    VkCommandBuffer commands = c->r->segments[c->r->n];
    if (i == 0 && must_wait(&c->touched, o)) {
        loam__vk_barrier(c->p->device, commands);
        c->touched.n_reads = c->touched.n_writes = 0;
    }
    touch(&c->touched, o);
    dispatch(c->p, o, rows, i, n, commands);
    c->r->macs[c->r->n] += macs;
    return LOAM_OK;
}

static uint32_t count_slices(const recorder *c, const op *o, uint32_t rows)
{
    const variant *v = choose(o, rows);
    const uint32_t most = o->cut == CUT_ITEMS  ? v->groups
                          : o->cut == CUT_ROWS ? divide_up(rows, v->group_rows)
                                               : 1;
    uint64_t n = o->row_macs * rows / c->most_macs + 1;
    return n < most ? (uint32_t)n : most;
}

static loam_status record(program *p, recording *r)
{
    loam__vk_device *d = p->device;
    uint64_t all = 0;
    loam_status st = LOAM_OK;
    for (uint32_t i = 0; i < p->n_ops; i++)
        all += p->ops[i].row_macs * loam__vk_rows_of(&p->ops[i], r->tokens, r->outputs);
    recorder c = {.p = p, .r = r, .most_macs = (uint64_t)(d->macs_per_ms * SEGMENT_MS)};
    r->macs_per_ms = d->macs_per_ms;
    if (c.most_macs < all / (SEGMENTS / 2)) c.most_macs = all / (SEGMENTS / 2);
    if (c.most_macs == 0) c.most_macs = 1;
    for (uint32_t i = 0; i < p->n_ops && st == LOAM_OK; i++) {
        const op *o = &p->ops[i];
        const uint32_t rows = loam__vk_rows_of(o, r->tokens, r->outputs);
        const uint32_t n = rows ? count_slices(&c, o, rows) : 0;
        for (uint32_t s = 0; s < n && st == LOAM_OK; s++)
            st = record_slice(&c, o, rows, s, n);
    }
    return st == LOAM_OK ? end_segment(&c) : st;
}

void loam__vk_recording_free(program *p, recording *r)
{
    loam__vk_device *d = p->device;
    for (uint32_t i = 0; i < SEGMENTS && r->segments[i]; i++) {
        d->f.FreeCommandBuffers(d->device, d->pool, 1, &r->segments[i]);
        r->segments[i] = NULL;
    }
    r->n = r->tokens = r->outputs = 0;
}

/* The next power of two, but not more than there can be. */
static uint32_t width_of(uint32_t n, uint32_t most)
{
    uint32_t width = 1;
    while (width < n)
        width *= 2;
    return n == 0 ? 0 : width < most ? width : most;
}

/* Whether the device has turned out so much faster or slower that the cuts are wrong. */
static bool is_stale(const recording *r, const loam__vk_device *d)
{
    return d->macs_per_ms > r->macs_per_ms * 4 || d->macs_per_ms < r->macs_per_ms / 2;
}

loam_status loam__vk_recording_get(program *p, const loam_step *step, bool resumed,
                                   recording **found)
{
    const uint32_t tokens = width_of(step->n_tokens, p->max_tokens);
    const uint32_t outputs = width_of(step->n_outputs, p->max_outputs);
    recording *r = NULL;
    for (uint32_t i = 0; i < RECORDINGS && !r; i++)
        if (p->recordings[i].tokens == tokens && p->recordings[i].outputs == outputs)
            r = &p->recordings[i];
    if (r && r->n > 0 && (resumed || !is_stale(r, p->device))) {
        *found = r;
        return LOAM_OK;
    }
    if (!r) r = &p->recordings[p->next_recording++ % RECORDINGS];
    loam__vk_recording_free(p, r);
    r->tokens = tokens;
    r->outputs = outputs;
    loam_status st = record(p, r);
    if (st != LOAM_OK) loam__vk_recording_free(p, r);
    *found = r;
    return st;
}
