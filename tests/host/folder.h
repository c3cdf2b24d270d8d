/* How much a folder holds: the threads and the open files of this process, in /proc. */
#ifndef LOAM_TEST_FOLDER_H
#define LOAM_TEST_FOLDER_H

#include <dirent.h>

#include "test.h"

static inline size_t entries(const char *folder)
{
    size_t n = 0;
    DIR *d = opendir(folder);
    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

#endif
