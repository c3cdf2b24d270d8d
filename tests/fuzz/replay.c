/* Feed every file of a folder to a fuzz target: the corpus as a plain test. A target that finds
 * fault ends the process, as it does under the fuzzer. */
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The bytes lie in a block of their exact size, so that a sanitizer sees a read beyond the end. */
static int replay(const char *path)
{
    struct stat about;
    FILE *f = NULL;
    uint8_t *data = NULL;
    int result = -1;

    if (stat(path, &about) != 0) goto done;
    if (!S_ISREG(about.st_mode)) return 0;
    size_t size = (size_t)about.st_size;
    if (!(f = fopen(path, "rb")) || !(data = malloc(size ? size : 1))) goto done;
    if (fread(data, 1, size, f) != size) goto done;
    printf("%s\n", path);
    fflush(stdout); /* so that the last line names the input that ends the process */
    LLVMFuzzerTestOneInput(data, size);
    result = 1;
done:
    if (result < 0) perror(path);
    if (f) fclose(f);
    free(data);
    return result;
}

int main(int argc, char **argv)
{
    int count = 0, result = 0;
    DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;

    if (!folder) {
        fprintf(stderr, "usage: replay FOLDER (which must exist)\n");
        return 2;
    }
    for (struct dirent *entry; result >= 0 && (entry = readdir(folder));) {
        char path[4096];
        int n = snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
        if (n < 0 || (size_t)n >= sizeof path) result = -1;
        else if ((result = replay(path)) > 0) count++;
    }
    closedir(folder);
    printf("%d inputs\n", count);
    return result < 0 || count == 0;
}
