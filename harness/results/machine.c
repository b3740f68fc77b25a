#include "results/machine.h"

#include "trial/clock.h"
#include "util/pool.h"

#include <sha256.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *machine_read_line(const char *path)
{
    char line[4096];
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return NULL;
    char *got = fgets(line, sizeof line, file);
    fclose(file);
    if (got == NULL)
        return NULL;
    line[strcspn(line, "\n")] = '\0';
    return pool_strdup(line);
}

const char *machine_read_choice(const char *path)
{
    const char *line = machine_read_line(path);
    const char *open = line ? strchr(line, '[') : NULL;
    const char *close = open ? strchr(open, ']') : NULL;
    return close ? pool_printf("%.*s", (int)(close - open - 1), open + 1) : NULL;
}

const char *machine_governor(void)
{
    return machine_read_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
}

/* The value of a "key : value" line of /proc/cpuinfo. */
static const char *cpuinfo(const char *key)
{
    char line[8192];
    const char *value = NULL;
    FILE *file = fopen("/proc/cpuinfo", "re");
    while (file != NULL && value == NULL && fgets(line, sizeof line, file) != NULL) {
        char *colon = strchr(line, ':');
        if (colon != NULL && strncmp(line, key, strlen(key)) == 0) {
            line[strcspn(line, "\n")] = '\0';
            value = pool_strdup(colon[1] ? colon + 2 : "");
        }
    }
    if (file != NULL)
        fclose(file);
    return value;
}

static int has_cpu_flag(const char *flag)
{
    const char *flags = cpuinfo("flags");
    return flags != NULL && strstr(pool_printf(" %s ", flags), pool_printf(" %s ", flag)) != NULL;
}

const char *machine_hypervisor(void)
{
    const char *name = machine_read_line("/sys/hypervisor/type");
    const char *vendor = machine_read_line("/sys/class/dmi/id/sys_vendor");
    if (name != NULL)
        return name;
    if (!has_cpu_flag("hypervisor"))
        return NULL;
    return vendor != NULL && *vendor ? vendor : "unknown hypervisor";
}

const char *machine_sha256(const char *path)
{
    char digest[SHA256_DIGEST_STRING_LENGTH];
    return SHA256File(path, digest) != NULL ? pool_strdup(digest) : NULL;
}

/* ---- what spoils measurements ---------------------------------------------------------------- */

struct problems {
    struct machine_problem *list;
    size_t capacity, count;
};

static void add(struct problems *p, const char *problem, const char *remedy)
{
    if (p->count < p->capacity)
        p->list[p->count++] = (struct machine_problem){problem, remedy};
}

static void check_frequency(struct problems *p)
{
    const char *governor = machine_governor();
    const char *no_turbo = machine_read_line("/sys/devices/system/cpu/intel_pstate/no_turbo");
    const char *boost = machine_read_line("/sys/devices/system/cpu/cpufreq/boost");
    if (governor != NULL && strcmp(governor, "performance") != 0)
        add(p,
            pool_printf("the CPU frequency governor is '%s': clock speed follows the load",
                        governor),
            "cpupower frequency-set -g performance");
    if (no_turbo != NULL && strcmp(no_turbo, "0") == 0)
        add(p, "turbo is on: clock speed depends on temperature and on the other cores",
            "echo 1 > /sys/devices/system/cpu/intel_pstate/no_turbo");
    if (boost != NULL && strcmp(boost, "1") == 0)
        add(p, "boost is on: clock speed depends on temperature and on the other cores",
            "echo 0 > /sys/devices/system/cpu/cpufreq/boost");
}

static void check_sharing(struct problems *p)
{
    double loads[1];
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    const char *hypervisor = machine_hypervisor();
    const char *smt = machine_read_line("/sys/devices/system/cpu/smt/active");
    const char *quota = machine_read_line("/sys/fs/cgroup/cpu.max");
    if (hypervisor != NULL)
        add(p,
            pool_printf("a virtual machine (%s): neighbours take CPU time, page faults cost "
                        "several "
                        "times more",
                        hypervisor),
            "measure on bare metal, or interleave and use many blocks (heapmark does)");
    if (getloadavg(loads, 1) == 1 && loads[0] > 0.3 * (double)cpus)
        add(p,
            pool_printf("the load average is %.1f on %ld CPUs: something else is running", loads[0],
                        cpus),
            "stop it, or wait");
    if (smt != NULL && strcmp(smt, "1") == 0)
        add(p, "sibling threads share cores: neighbours on a core slow each other",
            "use --placement with one CPU of each core, or echo off > "
            "/sys/devices/system/cpu/smt/control");
    if (quota != NULL && strncmp(quota, "max", 3) != 0)
        add(p, pool_printf("a control group limits CPU time (cpu.max is '%s')", quota),
            "lift the quota of this container");
    if (cpus < 2)
        add(p, "there is one CPU: the harness and the trial share it", "use a machine with more");
}

static void check_memory(struct problems *p)
{
    const char *thp = machine_read_choice("/sys/kernel/mm/transparent_hugepage/enabled");
    const char *balancing = machine_read_line("/proc/sys/kernel/numa_balancing");
    const char *overcommit = machine_read_line("/proc/sys/vm/overcommit_memory");
    struct stat ignored;
    if (thp != NULL && strcmp(thp, "always") == 0)
        add(p,
            "transparent huge pages are 'always': memory figures jump by 2 MiB, khugepaged "
            "interferes",
            "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled");
    if (balancing != NULL && strcmp(balancing, "0") != 0)
        add(p, "automatic NUMA balancing moves pages while they are measured",
            "echo 0 > /proc/sys/kernel/numa_balancing");
    FILE *swaps = fopen("/proc/swaps", "re");
    int lines = 0;
    for (int c; swaps != NULL && (c = fgetc(swaps)) != EOF;)
        lines += c == '\n';
    if (swaps != NULL)
        fclose(swaps);
    if (lines > 1)
        add(p, "swap is on: a trial may be measured against the disk", "swapoff -a");
    if (overcommit != NULL && strcmp(overcommit, "2") == 0)
        add(p,
            "memory overcommit is forbidden (vm.overcommit_memory = 2): allocators that reserve "
            "address space may fail",
            "sysctl vm.overcommit_memory=0");
    if (stat("/proc/self/smaps_rollup", &ignored) != 0)
        add(p, "/proc/self/smaps_rollup is missing: memory figures are approximate",
            "a kernel from 4.14 on, with /proc mounted");
    if (access("/proc/self/clear_refs", W_OK) != 0)
        add(p, "/proc/self/clear_refs cannot be written: peak memory includes what came before",
            "mount /proc read-write");
}

static void check_clock(struct problems *p)
{
    struct clock_scale scale = clock_calibrate(1);
    const char *remedy = "take tails that differ by less for equal; another machine tells more";
    if (!scale.is_tsc)
        add(p,
            pool_printf("there is no invariant time-stamp counter: latencies are taken with "
                        "clock_gettime, which takes longer and has steps of %.0f ns",
                        scale.step_ns),
            remedy);
    else if (clock_is_coarse(&scale))
        add(p,
            pool_printf("the time-stamp counter advances in steps of %.0f ns: no latency or "
                        "percentile is finer",
                        scale.step_ns),
            remedy);
}

size_t machine_problems(struct machine_problem *problems, size_t capacity)
{
    struct problems p = {.list = problems, .capacity = capacity};
    check_frequency(&p);
    check_sharing(&p);
    check_memory(&p);
    check_clock(&p);
    return p.count;
}
