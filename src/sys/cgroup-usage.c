/* What a cgroup's processes use, with the controllers or without them. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "sys/cgroup.h"
#include "sys/fd.h"

static bool read_number(int dirfd, const char *file, uint64_t *out)
{
	char text[32];
	return fd_get(dirfd, file, text, sizeof(text)) > 0 && sscanf(text, "%" SCNu64, out) == 1;
}

static uint64_t resident_bytes(long pid)
{
	char path[48], text[128];
	uint64_t pages = 0;
	snprintf(path, sizeof(path), "/proc/%ld/statm", pid);
	if (fd_get(AT_FDCWD, path, text, sizeof(text)) < 0 ||
	    sscanf(text, "%*u %" SCNu64, &pages) != 1)
		return 0; /* it has just ended */
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void file_done(FILE **f)
{
	if (*f)
		fclose(*f);
}

/* Goes through the processes for what no controller tells. */
static int count(int cg, struct cgroup_usage *u, bool processes, bool memory)
{
	int fd = openat(cg, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	autodone(file_done) FILE *f = fdopen(fd, "r");
	if (!f) {
		close(fd);
		return -ENOMEM;
	}
	for (long pid; fscanf(f, "%ld", &pid) == 1;) {
		if (processes)
			u->processes++;
		if (memory)
			u->memory += resident_bytes(pid);
	}
	return 0;
}

int cgroup_usage(int cg, struct cgroup_usage *out)
{
	char stat[1024];
	*out = (struct cgroup_usage){0};
	/* Its first line is there with and without the cpu controller. */
	if (fd_get(cg, "cpu.stat", stat, sizeof(stat)) < 0 ||
	    sscanf(stat, "usage_usec %" SCNu64, &out->cpu_usec) != 1)
		out->cpu_usec = 0;
	bool processes = !read_number(cg, "pids.current", &out->processes);
	bool memory = !read_number(cg, "memory.current", &out->memory);
	return processes || memory ? count(cg, out, processes, memory) : 0;
}
