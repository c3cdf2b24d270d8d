/* What a format costs in quality (EQ OM2.4). */
#ifndef LOAM__QUALITY_H
#define LOAM__QUALITY_H

#include "lib/base/base.h"

typedef struct loam__quality {
    const char *name;
    double bits;    /* a weight, over a whole model */
    double percent; /* by which perplexity rises */
    bool beaten;    /* a smaller format of the table loses less */
} loam__quality;

const loam__quality *loam__quality_row(size_t i); /* most bits first; NULL beyond the last */
/* Between the rows that are not beaten; NaN where bits is not positive. */
double loam__quality_percent(double bits);

#endif
