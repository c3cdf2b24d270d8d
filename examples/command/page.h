/* The page of loam plan --html: three instruments in one file that needs nothing else. */
#ifndef LOAM_COMMAND_PAGE_H
#define LOAM_COMMAND_PAGE_H

#include <loam/plan.h>
#include <stdbool.h>

typedef struct page_request {
    const char *model;                  /* NULL: the geometry describes it */
    const loam_plan_geometry *geometry; /* NULL: there is a model */
    const loam_options *options;        /* where the instruments stand at first */
    const loam_plan *plan;              /* made with these options */
    double bandwidth;                   /* GB/s */
    bool bandwidth_measured;
    double gflops;        /* what the machine multiplies at; 0: unknown */
    const char *measured; /* a file with the JSON of bench --sweep-batch, or NULL */
} page_request;

/* Write the page; the exit status, after a complaint on failure. */
int page_write(const page_request *r, const char *path);

#endif
