#include <string.h>

#include "handle.h"

/* ---- the handle ---- */

loam_status loam__begin(loam__base *b, const loam_options *options, loam_options *o)
{
    loam_status read =
        loam__options_read(o, sizeof *o, LOAM__UP_TO(loam_options, reserved_pointer), options);
    loam_status st = loam__base_init(b, read == LOAM_OK ? o->hooks : NULL);
    if (read != LOAM_OK)
        return loam__fail(b, read,
                          "options: struct_size or a field is not of this version; call "
                          "loam_options_init() first");
    return st == LOAM_OK ? loam__options_check(b, o) : st;
}

void loam__options_forget(loam_options *o)
{
    o->isa = o->backend = o->modules = NULL;
    o->devices = NULL;
    o->n_devices = 0;
    o->cache = NULL;
    o->hooks = NULL;
}

loam *loam__handle_new(const loam_options *options, loam_options *o, loam_status *st)
{
    loam__base b;
    *st = loam__begin(&b, options, o);
    loam *m = loam__alloc(&b, sizeof *m);
    if (!m) return NULL;
    m->base = b;
    loam__account_open(&m->account, &m->base, loam__alloc_cost(sizeof *m, 16));
    loam__account_note(&m->account, LOAM__HELD_HANDLE);
    m->has_lock = loam__mutex_init(&m->lock);
    if (!m->has_lock && *st == LOAM_OK)
        *st = loam__fail(&m->base, LOAM_ERR_NOMEM, "the system gave no mutex; free some resources");
    return m;
}

/* Leave a handle that only carries its text. */
static void unload(loam *m)
{
    loam__run_free(&m->run);
    loam__plan_free(&m->plan);
    loam__backends_close(&m->backends);
    loam__vocab_free(m->vocab);
    loam__gguf_close(m->gguf);
    loam__free(&m->base, m->architecture);
    loam__free(&m->base, m->name);
    loam__free(&m->base, m->chat_template);
    m->vocab = NULL;
    m->gguf = NULL;
    m->architecture = m->name = m->chat_template = NULL;
}

void loam__handle_free(loam *m)
{
    unload(m);
    if (m->has_lock) loam__mutex_destroy(&m->lock);
    loam__base b = m->base;
    loam__free(&b, m);
}

void loam_free(loam *m)
{
    if (!m) return;
    m->freed = true;
    if (m->queues == 0) loam__handle_free(m);
}

/* ---- loading ---- */

static loam_status copy_string(loam *m, const char *key, char **copy, size_t *n)
{
    const char *text = NULL;
    loam_status st = loam__gguf_want_string(m->gguf, key, &text, n);
    if (st != LOAM_OK || !text) return st;
    *copy = loam__copy_text(&m->base, text, *n);
    return *copy ? LOAM_OK : LOAM_ERR_NOMEM;
}

static loam_status read_facts(loam *m)
{
    size_t n;
    loam_status st;
    for (size_t i = 0; i < loam__gguf_tensor_count(m->gguf); i++) {
        loam_gguf_tensor t;
        loam__gguf_tensor(m->gguf, i, &t);
        m->parameters += t.dims[0] * t.dims[1] * t.dims[2] * t.dims[3];
        m->weights_bytes += t.size_bytes;
    }
    if ((st = copy_string(m, "general.architecture", &m->architecture, &n)) != LOAM_OK ||
        (st = copy_string(m, "general.name", &m->name, &n)) != LOAM_OK)
        return st;
    return copy_string(m, "tokenizer.chat_template", &m->chat_template, &m->n_chat_template);
}

static loam_status check_vocabulary(loam *m)
{
    uint32_t tokens = loam__vocab_size(m->vocab), rows = m->plan.model.geometry.n_vocab;
    if (tokens <= rows) return LOAM_OK; /* rows may be padded */
    return loam__fail(&m->base, LOAM_ERR_TOKENIZER,
                      "the vocabulary has %u tokens but token_embd.weight only %u rows", tokens,
                      rows);
}

/* On the host the plan is whole, and not yet held against any limit. */
static loam_status make_plan(loam *m, const loam_options *o, const loam__sites *sites)
{
    const loam__spread s = {.gguf = m->gguf,
                            .sites = sites,
                            .records = {sizeof(loam__sequence), sizeof(loam__item)},
                            .held = &m->account,
                            .scale = 1};
    loam__plan_free(&m->plan);
    if (loam__sites_are_host(sites))
        return loam__plan_make(&m->base, m->gguf, o, sites, NULL, s.records, &m->plan);
    return loam__plan_spread(&m->base, &s, o, &m->plan);
}

/* Hold the plan against the limits, now that all is known which the handle holds. Where it does not
 * fit, devices may share it otherwise; and on the host, where the caller left the choice open,
 * weights may stay in the map. */
static loam_status fit_plan(loam *m, const loam_options *o, const loam__sites *sites)
{
    loam_options other = *o;
    loam_status st = loam__plan_total(&m->plan, o, &m->account);
    if (st != LOAM_ERR_NOFIT) return st;
    if (loam__sites_are_host(sites)) {
        if (o->flags & (LOAM_LOAD_PACK | LOAM_LOAD_MAP) || !loam__plan_could_map(&m->plan))
            return st;
        other.flags |= LOAM_LOAD_MAP;
    }
    st = make_plan(m, &other, sites);
    loam__account_note(&m->account, LOAM__HELD_GRAPH);
    return st == LOAM_OK ? loam__plan_total(&m->plan, o, &m->account) : st;
}

static loam_status open_and_place(loam *m, const loam_options *o, loam__sites *sites)
{
    loam_status st = loam__backends_open(&m->base, o, &m->backends, sites);
    if (st != LOAM_OK) return st;
    loam__account_note(&m->account, LOAM__HELD_BACKEND);
    return make_plan(m, o, sites);
}

/* With "auto", backends that get nothing are closed again: they cost the host nothing. */
static loam_status place(loam *m, const loam_options *o, loam__sites *sites)
{
    loam_options host = *o;
    bool used = false;
    loam_status st = open_and_place(m, o, sites);
    for (uint32_t i = 0; i < m->plan.sites.n; i++)
        used |= m->plan.sites.site[i].used && !m->plan.sites.site[i].info.host_memory;
    if (st != LOAM_OK || used || sites->n == 1 || !loam__wants_auto(o)) return st;
    host.backend = NULL;
    loam__plan_free(&m->plan);
    loam__backends_close(&m->backends);
    loam__account_note(&m->account, LOAM__HELD_BACKEND);
    return open_and_place(m, &host, sites);
}

loam_status loam__handle_plan(loam *m, const loam_options *o)
{
    loam__account *a = &m->account;
    loam__sites sites;
    loam_status st;
    if ((st = read_facts(m)) != LOAM_OK) return st;
    loam__account_note(a, LOAM__HELD_CONTAINER);
    if ((st = place(m, o, &sites)) != LOAM_OK && st != LOAM_ERR_NOFIT) return st;
    loam__account_note(a, LOAM__HELD_GRAPH);
    if ((st = loam__vocab_new(&m->base, m->gguf, &m->vocab)) != LOAM_OK ||
        (st = check_vocabulary(m)) != LOAM_OK)
        return st;
    loam__account_note(a, LOAM__HELD_VOCABULARY);
    loam__account_expect(a, LOAM__HELD_VOCABULARY, loam__vocab_bytes(m->vocab));
    return fit_plan(m, o, &sites);
}

/* The vocabulary's tables, which must take what the plan says. */
static loam_status fill_vocabulary(loam *m)
{
    size_t before = atomic_load(&m->account.live_bytes);
    loam_status st = loam__vocab_fill(&m->base, m->vocab);
    size_t held = atomic_load(&m->account.live_bytes) - before;
    if (st != LOAM_OK || held == loam__vocab_bytes(m->vocab)) return st;
    return loam__fail(&m->base, LOAM_ERR_INTERNAL,
                      "the vocabulary takes %zu bytes where the plan says %zu; report this", held,
                      loam__vocab_bytes(m->vocab));
}

static loam_status load_opened(loam *m, const loam_options *o)
{
    loam_status st;
    if (o->flags & LOAM_LOAD_VOCAB) {
        if ((st = read_facts(m)) != LOAM_OK ||
            (st = loam__vocab_new(&m->base, m->gguf, &m->vocab)) != LOAM_OK)
            return st;
        return fill_vocabulary(m);
    }
    if ((st = loam__handle_plan(m, o)) != LOAM_OK || (st = fill_vocabulary(m)) != LOAM_OK)
        return st;
    if (o->memory_limit_bytes) /* the mapped weights have their share of it */
        m->account.limit_bytes -= (size_t)m->plan.totals.weights_mapped_bytes;
    if ((st = loam__run_new(&m->base, &m->plan, &m->cancel, &m->run)) != LOAM_OK) return st;
    m->run.profiled = o->flags & LOAM_LOAD_PROFILE;
    m->options = *o;
    loam__options_forget(&m->options);
    m->runs = true;
    loam__log(&m->base, LOAM_LOG_INFO,
              "loaded %s: %llu parameters, %u layers, context %u, %u threads, %s",
              m->name ? m->name : "a model", (unsigned long long)m->parameters,
              m->plan.model.geometry.n_layers, m->plan.context_tokens, m->plan.threads,
              m->plan.sites.site[0].info.isa);
    return LOAM_OK;
}

bool loam__handle_retry(loam *m, loam_options *o, loam_status st)
{
    if (st == LOAM_OK || st == LOAM_ERR_NOFIT || !loam__wants_auto(o) || m->backends.n < 2)
        return false;
    loam__log(&m->base, LOAM_LOG_WARN, "with the accelerators that \"auto\" found: %s",
              m->base.error);
    unload(m);
    loam__account_restart(&m->account);
    m->parameters = m->weights_bytes = 0;
    m->base.error[0] = 0;
    o->backend = NULL;
    return true;
}

/* From a path, or from sources where it is NULL. */
static loam_status load_with(loam *m, const char *path, const loam_source *const *parts,
                             size_t n_parts, const loam_options *o)
{
    if (o->memory_limit_bytes && o->memory_limit_bytes < SIZE_MAX)
        m->account.limit_bytes = (size_t)o->memory_limit_bytes;
    loam_status st = path ? loam__gguf_open(&m->base, path, &m->gguf)
                          : loam__gguf_open_sources(&m->base, parts, n_parts, &m->gguf);
    return st == LOAM_OK ? load_opened(m, o) : st;
}

static loam_status load(const char *path, const loam_source *const *parts, size_t n_parts,
                        const loam_options *options, loam **out)
{
    loam_options o;
    loam_status st;
    loam *m = *out = loam__handle_new(options, &o, &st);
    if (!m) return LOAM_ERR_NOMEM;
    if (st == LOAM_OK) st = load_with(m, path, parts, n_parts, &o);
    if (loam__handle_retry(m, &o, st)) st = load_with(m, path, parts, n_parts, &o);
    if (st == LOAM_OK) return LOAM_OK;
    st = loam__account_reason(&m->account, &m->base, st);
    unload(m);
    return st;
}

loam_status loam_load(const char *path, const loam_options *options, loam **out)
{
    if (out) *out = NULL;
    return path && out ? load(path, NULL, 0, options, out) : LOAM_ERR_ARG;
}

loam_status loam_load_sources(const loam_source *const *parts, size_t n_parts,
                              const loam_options *options, loam **out)
{
    if (out) *out = NULL;
    return parts && n_parts && out ? load(NULL, parts, n_parts, options, out) : LOAM_ERR_ARG;
}

/* ---- facts ---- */

const char *loam_error(const loam *m)
{
    return m ? m->base.error : "no handle: loam_load() was given NULL or had no memory for one";
}

#define TEXT(number)    TEXT_OF(number)
#define TEXT_OF(number) #number

const char *loam_version(void)
{
    return TEXT(LOAM_VERSION_MAJOR) "." TEXT(LOAM_VERSION_MINOR) "." TEXT(LOAM_VERSION_PATCH);
}

loam_status loam_get_info(loam *m, loam_info *info)
{
    loam_info i = {0};
    if (!m || !info) return LOAM_ERR_ARG;
    loam_status st = loam__enter(m, false);
    if (st != LOAM_OK) return st;
    i.vocabulary_tokens = loam__vocab_size(m->vocab);
    i.bos = loam__vocab_bos(m->vocab);
    i.eos = loam__vocab_eos(m->vocab);
    i.parameters = m->parameters;
    i.weights_bytes = m->weights_bytes;
    i.architecture = m->architecture ? m->architecture : "";
    i.name = m->name ? m->name : "";
    i.isa = "";
    i.chat_template = m->chat_template;
    if (m->runs) {
        const loam__geometry *geo = &m->plan.model.geometry;
        i.vocabulary_tokens = geo->n_vocab;
        i.layers = geo->n_layers;
        i.embedding_values = geo->n_embd;
        i.trained_tokens = geo->trained_tokens;
        i.context_tokens = m->plan.context_tokens;
        i.sequences = m->plan.sequences;
        i.threads = m->plan.threads;
        i.isa = m->plan.sites.site[0].info.isa;
    }
    st = loam__options_write(info, LOAM__UP_TO(loam_info, chat_template), &i, sizeof i);
    if (st != LOAM_OK)
        loam__fail(&m->base, st,
                   "info: struct_size is not of this version; call loam_info_init() first");
    return loam__leave(m, st);
}

/* ---- the moves of every call ---- */

loam_status loam__enter(loam *m, bool compute)
{
    if (!m->vocab) /* a failed load: its text stays */
        return LOAM_ERR_STATE;
    loam__mutex_lock(&m->lock);
    atomic_store(&m->account.refused, false);
    if (compute && !m->runs)
        return loam__leave(
            m,
            loam__fail(
                &m->base, LOAM_ERR_STATE,
                "the model was loaded for its vocabulary only; load it without LOAM_LOAD_VOCAB"));
    if (compute && m->lost)
        return loam__leave(m, loam__fail(&m->base, LOAM_ERR_DEVICE,
                                         "a device was lost in an earlier call; free this handle "
                                         "and load the model again"));
    return LOAM_OK;
}

loam_status loam__leave(loam *m, loam_status st)
{
    if (st == LOAM_ERR_DEVICE) m->lost = true;
    if (st == LOAM_ERR_NOMEM && atomic_load(&m->account.refused))
        loam__fail(&m->base, st,
                   "the call needs more memory than options.memory_limit_bytes leaves beside the "
                   "model; ask for less at once or load with a higher limit");
    loam__mutex_unlock(&m->lock);
    return st;
}
