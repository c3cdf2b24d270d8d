/* A host of ten lines: it loads what is not there, and says why that failed. */
#include <loam/loam.h>
#include <stdio.h>

int main(void)
{
    loam *m;
    loam_status status = loam_load("no/such/model.gguf", NULL, &m);
    printf("loam %s: %s: %s\n", loam_version(), loam_status_name(status), loam_error(m));
    loam_free(m);
    return status == LOAM_ERR_NOT_FOUND ? 0 : 1;
}
