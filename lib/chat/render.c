#include "chat.h"

#include <string.h>

#include "builtins.h"

static bool read_variables(vm *m, const char *json, size_t n, const loam__chat_default *defaults)
{
    value v, given;
    uint8_t *ones = loam__vm_alloc(m, n);
    if (!ones) return false;
    memset(ones, 1, n);
    m->ones = ones;
    if (!loam__json_read(m, json, n, &v)) return false;
    if (v.kind != KIND_DICT)
        return loam__vm_fail(m, LOAM_ERR_JSON, "JSON: the variables must be an object, not a %s",
                             loam__type_name(v));
    m->context = v.dict;
    for (; defaults && defaults->name; defaults++) {
        const text *name = loam__intern(m, defaults->name, strlen(defaults->name));
        if (!name || !loam__dict_get_text(m, m->context, name, &given)) return false;
        if (given.kind != KIND_ABSENT) continue;
        if (!loam__text_value(m, defaults->text, defaults->n, &given)) return false;
        if (!loam__dict_set(m, m->context, loam__string((text *)name), given)) return false;
    }
    return true;
}

static bool render(vm *m, const char *source, size_t n_source)
{
    node *body;
    if (!(m->loop = loam__intern(m, "loop", 4))) return false;
    if (!loam__parse(m, source, n_source, &body) || !(m->scope = loam__scope_new(m, NULL)))
        return false;
    m->depth = 0;
    return loam__exec(m, body) && loam__put_ok(m);
}

loam_status loam__template_render(loam__base *b, const char *source, size_t n_source,
                                  const char *json, size_t n_json,
                                  const loam__chat_default *defaults, loam__buf *out,
                                  loam__buf *typed)
{
    vm m;
    loam__vm_init(&m, b);
    m.names = loam__dict_new(&m);
    if (m.names && read_variables(&m, json, n_json, defaults) && render(&m, source, n_source)) {
        loam__buf_add(out, m.out.p, m.out.n);
        if (typed) loam__buf_add(typed, m.marks.p, m.marks.n);
        m.status = out->status != LOAM_OK ? out->status : typed ? typed->status : LOAM_OK;
    } else if (m.status == LOAM_OK) {
        loam__vm_fail(&m, LOAM_ERR_INTERNAL,
                      "a template failed without a reason; please report it");
    }
    loam__vm_free(&m);
    return m.status;
}
