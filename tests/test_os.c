/* What the kernel's files say of memory: a small tree of them, written below the build. */
#define _POSIX_C_SOURCE 200809L
#include "test.h"

#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/os.h"

#define MIB ((uint64_t)1 << 20)

typedef struct tree {
    char root[256], files[16][128];
    size_t n_files;
} tree;

static void path_of(const tree *t, const char *path, char whole[1024])
{
    snprintf(whole, 1024, "%s%s", t->root, path);
}

/* Write a file and the folders that it lies in. */
static void put_file(tree *t, const char *path, const char *text)
{
    char whole[1024];
    path_of(t, path, whole);
    for (char *p = whole + strlen(t->root) + 1; (p = strchr(p, '/')); p++) {
        *p = 0;
        mkdir(whole, 0700);
        *p = '/';
    }
    FILE *f = fopen(whole, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_in_range(t->n_files, 0, 15);
    snprintf(t->files[t->n_files++], sizeof t->files[0], "%s", path);
}

/* Remove the files, and the folders that are empty then. */
static void remove_tree(tree *t)
{
    while (t->n_files--) {
        char whole[1024];
        path_of(t, t->files[t->n_files], whole);
        unlink(whole);
        while (strlen(whole) > strlen(t->root)) {
            *strrchr(whole, '/') = 0;
            rmdir(whole);
        }
    }
}

static void init_tree(tree *t, const char *name)
{
    *t = (tree){0};
    snprintf(t->root, sizeof t->root, LOAM_TEST_TMP "/os-%s-XXXXXX", name);
    assert_non_null(mkdtemp(t->root));
    put_file(t, "/proc/meminfo",
             "MemTotal:        8388608 kB\nMemFree:  1 kB\nMemAvailable:    4194304 kB\n");
}

static void expect(const tree *t, uint64_t total, uint64_t available)
{
    assert_int_equal(loam__memory_total_under(t->root), total);
    assert_int_equal(loam__memory_available_under(t->root), available);
}

static void test_memory__is_the_systems_without_groups(void **state)
{
    tree t;
    (void)state;
    init_tree(&t, "none");
    expect(&t, 8192 * MIB, 4096 * MIB);
    put_file(&t, "/proc/meminfo", "nonsense");
    expect(&t, 0, 0);
    remove_tree(&t);
}

static void test_memory__is_that_of_the_tightest_group_around(void **state)
{
    tree t;
    (void)state;
    init_tree(&t, "two");
    put_file(&t, "/proc/self/cgroup", "0::/a/b/c\n");
    put_file(&t, "/sys/fs/cgroup/a/b/c/memory.max", "max\n");
    put_file(&t, "/sys/fs/cgroup/a/b/c/memory.current", "1048576\n");
    expect(&t, 8192 * MIB, 4096 * MIB);
    put_file(&t, "/sys/fs/cgroup/a/memory.max", "1073741824\n"); /* 1024 MiB */
    put_file(&t, "/sys/fs/cgroup/a/memory.current", "536870912\n");
    put_file(&t, "/sys/fs/cgroup/a/memory.stat",
             "file 1\nactive_file 7\ninactive_file 104857600\nslab 3\n");
    expect(&t, 1024 * MIB, 612 * MIB); /* 100 MiB of the 512 used are old cached files */
    put_file(&t, "/sys/fs/cgroup/a/b/memory.high", "104857600\n");
    put_file(&t, "/sys/fs/cgroup/a/b/memory.current", "52428800\n");
    expect(&t, 100 * MIB, 50 * MIB);
    put_file(&t, "/sys/fs/cgroup/a/b/memory.current", "209715200\n"); /* beyond: nothing is left */
    expect(&t, 100 * MIB, 1);
    remove_tree(&t);
}

static void test_memory__of_version_1_groups(void **state)
{
    tree t;
    (void)state;
    init_tree(&t, "one");
    put_file(&t, "/proc/self/cgroup",
             "9:cpu,cpuacct:/x\n4:memory:/a/b\n1:name=systemd:/y\n0::/z\n");
    put_file(&t, "/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "2147483648\n");
    put_file(&t, "/sys/fs/cgroup/memory/a/memory.usage_in_bytes", "1073741824\n");
    put_file(&t, "/sys/fs/cgroup/memory/a/memory.stat",
             "inactive_file 999999999\ntotal_inactive_file 1048576\n");
    put_file(&t, "/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    expect(&t, 2048 * MIB, 1025 * MIB);
    remove_tree(&t);
}

/* In a container the path is the host's, while the mount is the container's own. */
static void test_memory__of_a_mount_that_is_the_group_itself(void **state)
{
    tree t;
    (void)state;
    init_tree(&t, "own");
    put_file(&t, "/proc/self/cgroup", "0::/docker/0123\n");
    put_file(&t, "/sys/fs/cgroup/memory.max", "536870912");
    put_file(&t, "/sys/fs/cgroup/memory.current", "134217728");
    expect(&t, 512 * MIB, 384 * MIB);
    put_file(&t, "/proc/self/cgroup", "0::/\n");
    expect(&t, 512 * MIB, 384 * MIB);
    put_file(&t, "/proc/self/cgroup", "no colons\n:\n::\n\n5:memory\n");
    expect(&t, 512 * MIB, 384 * MIB);
    remove_tree(&t);
}

static void test_memory__of_this_machine_is_known(void **state)
{
    (void)state;
    uint64_t total = loam__memory_total(), available = loam__memory_available();
    assert_true(total > 64 * MIB && available > 0 && available <= total);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_memory__is_the_systems_without_groups),
    cmocka_unit_test(test_memory__is_that_of_the_tightest_group_around),
    cmocka_unit_test(test_memory__of_version_1_groups),
    cmocka_unit_test(test_memory__of_a_mount_that_is_the_group_itself),
    cmocka_unit_test(test_memory__of_this_machine_is_known),
};

RUN(tests)
