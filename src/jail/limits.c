#include "jail/limits.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include "conf/value.h"
#include "sys/cgroup.h"
#include "sys/fd.h"

/* A file of the jail's cgroup for each resource. io.max takes one line a disk, "MAJ:MIN KEY=N". */
static const struct {
	const char *controller, *file, *io_key, *none;
} table[] = {
    [RCTL_MEMORYUSE] = {"memory", "memory.max", NULL, "max"},
    [RCTL_SWAPUSE] = {"memory", "memory.swap.max", NULL, "max"},
    [RCTL_MAXPROC] = {"pids", "pids.max", NULL, "max"},
    [RCTL_PCPU] = {"cpu", "cpu.max", NULL, "max"},
    [RCTL_READBPS] = {"io", "io.max", "rbps", NULL},
    [RCTL_WRITEBPS] = {"io", "io.max", "wbps", NULL},
    [RCTL_READIOPS] = {"io", "io.max", "riops", NULL},
    [RCTL_WRITEIOPS] = {"io", "io.max", "wiops", NULL},
    [RCTL_OPENFILES] = {NULL, NULL, NULL, NULL},
    [RCTL_DISK] = {NULL, NULL, NULL, NULL},
};

/* pcpu counts percent of one processor: of each period of 100 ms, so many ms. */
#define CPU_PERIOD 100000

const char *limits_file(const struct conf_rctl *r)
{
	return table[r->resource].file;
}

void limits_text(const struct conf_rctl *r, char *buf, size_t size)
{
	if (r->resource == RCTL_PCPU)
		snprintf(buf, size, "%" PRIu64 " %d", r->amount * (CPU_PERIOD / 100), CPU_PERIOD);
	else
		snprintf(buf, size, "%" PRIu64, r->amount);
}

/* The whole disk below a file: io.max knows no partitions. */
static int disk_of(const char *path, char *buf, size_t size)
{
	struct stat st;
	char sys[128];
	if (stat(path, &st) < 0)
		return -errno;
	unsigned maj = major(st.st_dev), min = minor(st.st_dev);
	snprintf(sys, sizeof(sys), "/sys/dev/block/%u:%u/partition", maj, min);
	if (access(sys, F_OK) < 0) {
		snprintf(buf, size, "%u:%u", maj, min);
		snprintf(sys, sizeof(sys), "/sys/dev/block/%u:%u", maj, min);
		return access(sys, F_OK) < 0 ? -ENODEV : 0;
	}
	snprintf(sys, sizeof(sys), "/sys/dev/block/%u:%u/../dev", maj, min);
	ssize_t n = fd_get(AT_FDCWD, sys, buf, size);
	if (n < 0)
		return (int)n;
	buf[strcspn(buf, "\n")] = '\0';
	return 0;
}

static int apply_one(int cg, const struct conf_rctl *r, const char *path, struct strv *notes,
		     struct ng_err *err)
{
	char amount[64], text[128], disk[32];
	limits_text(r, amount, sizeof(amount));
	if (!table[r->resource].io_key)
		snprintf(text, sizeof(text), "%s", amount);
	else if (disk_of(path, disk, sizeof(disk)) < 0) {
		strv_addf(
		    notes,
		    "rctl: %s is on no disk of this host's: its input and output are not limited",
		    path);
		return 0;
	} else
		snprintf(text, sizeof(text), "%s %s=%s", disk, table[r->resource].io_key, amount);
	int rc = cgroup_set(cg, limits_file(r), text);
	return rc < 0 ? err_sys(err, rc, "rctl: %s: %s", limits_file(r), text) : 0;
}

/* Says once what is missing, however many limits ask for it. */
static void tell_missing(struct strv *notes, const struct strv *controllers)
{
	struct str b autodone(str_done) = {0};
	for (size_t i = 0; i < controllers->n; i++)
		str_addf(&b, "%s%s", i ? ", " : "", controllers->v[i]);
	if (b.len)
		strv_addf(
		    notes,
		    "rctl: this host has no cgroup v2 controller for %s: those limits are not "
		    "applied (on Debian and most others it is there when the kernel's command "
		    "line has no systemd.unified_cgroup_hierarchy=0 and cgroup v1 does not use "
		    "it)",
		    b.s);
}

static void tell_maxproc(struct strv *notes)
{
	static const char text[] = "rctl: this host has no cgroup v2 controller for pids: maxproc "
				   "holds as it is when the jail starts, and cannot be changed "
				   "while it runs";
	if (!strv_has(notes, text))
		strv_add(notes, text);
}

int limits_apply(int cg, const struct conf_jail *j, const char *path, struct strv *notes,
		 struct ng_err *err)
{
	size_t n;
	struct strv missing autodone(strv_done) = {0};
	const struct conf_value *v = conf_list(j, P_RCTL, &n);
	for (size_t i = 0; i < n; i++) {
		struct conf_rctl r;
		const char *why = NULL;
		if (value_rctl(v[i].text, &r, &why) < 0)
			return err_set(err, EINVAL, "rctl: %s", why);
		const char *controller = table[r.resource].controller;
		int rc = 0;
		if (r.resource == RCTL_DISK)
			continue;
		if (controller && cg >= 0 && cgroup_want(cg, controller))
			rc = apply_one(cg, &r, path, notes, err);
		else if (r.resource == RCTL_MAXPROC)
			tell_maxproc(notes);
		else if (controller && !strv_has(&missing, controller))
			strv_add(&missing, controller);
		if (rc < 0)
			return rc;
	}
	tell_missing(notes, &missing);
	return 0;
}

int limits_disk(const struct store *s, const struct conf_jail *j, const char *path,
		struct ng_err *err)
{
	uint64_t bytes = 0;
	size_t n;
	const struct conf_value *v = conf_list(j, P_RCTL, &n);
	for (size_t i = 0; i < n; i++) {
		struct conf_rctl r;
		const char *why = NULL;
		if (value_rctl(v[i].text, &r, &why) == 0 && r.resource == RCTL_DISK)
			bytes = r.amount;
	}
	int rc = store_set_quota(s, j->name, path, bytes, err);
	return rc < 0 ? err_prefix(err, "rctl: disk") : 0;
}

static bool configured(const struct conf_jail *j, enum rctl_resource resource)
{
	size_t n;
	const struct conf_value *v = conf_list(j, P_RCTL, &n);
	for (size_t i = 0; i < n; i++) {
		struct conf_rctl r;
		const char *why;
		if (value_rctl(v[i].text, &r, &why) == 0 && r.resource == resource)
			return true;
	}
	return false;
}

uint64_t limits_maxproc(int cg, const struct conf_jail *j)
{
	size_t n;
	if (cg >= 0 && cgroup_has(cg, "pids"))
		return 0;
	const struct conf_value *v = conf_list(j, P_RCTL, &n);
	uint64_t most = 0;
	for (size_t i = 0; i < n; i++) {
		struct conf_rctl r;
		const char *why;
		if (value_rctl(v[i].text, &r, &why) == 0 && r.resource == RCTL_MAXPROC)
			most = r.amount;
	}
	return most;
}

int limits_lift(int cg, const struct conf_jail *j, struct ng_err *err)
{
	for (unsigned r = 0; r < ARRAY_SIZE(table); r++) {
		if (cg < 0 || !table[r].none || configured(j, r) ||
		    !cgroup_has(cg, table[r].controller))
			continue;
		int rc = cgroup_set(cg, table[r].file, table[r].none);
		if (rc < 0 && rc != -ENOENT)
			return err_sys(err, rc, "rctl: %s", table[r].file);
	}
	return 0;
}
