/* What the kernel has, and is told. */
#include <stdio.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <time.h>
#include "doctor/check.h"
#include "sys/cgroup.h"
#include "sys/modules.h"
#include "sys/ns.h"

/* ---- version ---- */

bool release_at_least(const char *release, unsigned major, unsigned minor)
{
	unsigned a = 0, b = 0;
	/* What does not begin with two numbers is nothing to judge. */
	if (sscanf(release, "%u.%u", &a, &b) != 2)
		return true;
	return a > major || (a == major && b >= minor);
}

void check_kernel(struct doctor *d)
{
	struct utsname u;
	struct finding *f = NULL;
	if (uname(&u) < 0)
		return;
	if (!release_at_least(u.release, 5, 15)) {
		f = found(d, DOCTOR_HINDERS, "the kernel is Linux %s", u.release);
		because(f, "newgate needs 5.15 or later: mounts with mapped owners, cgroup.kill");
	} else if (!release_at_least(u.release, 5, 19)) {
		f = found(d, DOCTOR_ADVICE, "the kernel is Linux %s", u.release);
		because(f, "from 5.19 on a clone shares its template's files; before, it is a "
			   "copy of all of them");
	}
	if (f)
		mend(f, "apt install -t $(lsb_release -sc)-backports linux-image-amd64 && reboot");
	if (modules_gone(u.release, sizeof u.release)) {
		f = found(d, DOCTOR_ADVICE,
			  "the modules of the running kernel are gone: there is "
			  "no /lib/modules/%s",
			  u.release);
		because(f, "an upgrade took them; what jails need of them and is not loaded yet, "
			   "such as parts of nftables, cannot be loaded any more");
		mend(f, "reboot");
	}
}

/* ---- namespaces ---- */

void check_namespaces(struct doctor *d)
{
	static const char *const kinds[] = {"user", "pid", "mnt", "net", "ipc", "uts", "cgroup"};
	struct finding *f;

	autoclose int fd = ns_user_fd(0x40000000u, 65536);
	if (fd < 0) {
		f = found(d, DOCTOR_HINDERS, "no user namespace can be made: %s", strerror(-fd));
		because(f, "every jail is one; a host that is a container itself may not be "
			   "allowed to make them");
		mend(f, "sysctl -w user.max_user_namespaces=65536");
	}
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		char path[64];
		uint64_t max;
		snprintf(path, sizeof path, "sys/user/max_%s_namespaces", kinds[i]);
		/* One each, and some for the rest of the host. */
		if (!proc_number(d, path, &max) || max >= d->gather->n + 16)
			continue;
		f = found(d, DOCTOR_HINDERS, "only %llu %s namespaces are allowed",
			  (unsigned long long)max, kinds[i]);
		because(f, "each of %zu jails needs one", d->gather->n);
		mend(f, "sysctl -w user.max_%s_namespaces=65536", kinds[i]);
		mend(f, "echo user.max_%s_namespaces=65536 >>/etc/sysctl.d/99-newgate.conf",
		     kinds[i]);
	}
}

/* ---- cgroups ---- */

/* Who wants the controller: the name of a jail with such a limit, or NULL. */
static const char *who_needs(const struct doctor *d, const char *const *resource, size_t n)
{
	for (size_t i = 0; i < d->gather->n; i++) {
		const struct gather_jail *j = &d->gather->jail[i];
		size_t count = 0;
		const struct conf_value *v = j->block ? conf_list(&j->conf, P_RCTL, &count) : NULL;
		for (size_t k = 0; k < count; k++)
			for (size_t r = 0; r < n; r++)
				if (str_prefix(v[k].text, resource[r]))
					return j->name;
	}
	return NULL;
}

void check_cgroups(struct doctor *d)
{
	static const struct {
		const char *controller, *resource[4];
		size_t n;
	} needs[] = {{"memory", {"memoryuse", "swapuse"}, 2},
		     {"pids", {"maxproc"}, 1},
		     {"cpu", {"pcpu"}, 1},
		     {"io", {"readbps", "writebps", "readiops", "writeiops"}, 4}};
	struct finding *f;

	autoclose int top = cgroup_open_top();
	if (top < 0) {
		f = found(d, DOCTOR_HINDERS, "no cgroup v2 is mounted");
		because(f, "a jail's processes are counted, limited and ended by its cgroup");
		mend(f, "mount -t cgroup2 cgroup2 /sys/fs/cgroup");
		return;
	}
	struct str lacks autodone(str_done) = {0}, fails autodone(str_done) = {0};
	for (size_t i = 0; i < ARRAY_SIZE(needs); i++) {
		if (cgroup_has(top, needs[i].controller))
			continue;
		str_addf(&lacks, "%s%s", lacks.len ? ", " : "", needs[i].controller);
		const char *who = who_needs(d, needs[i].resource, needs[i].n);
		if (who)
			str_addf(&fails, "%s of %s, ", needs[i].resource[0], who);
	}
	if (!lacks.len)
		return;
	f = found(d, fails.len ? DOCTOR_HINDERS : DOCTOR_ADVICE, "cgroup v2 lacks %s", lacks.s);
	if (fails.len)
		because(f, "%.*s cannot be limited; version 1 of cgroups may hold what is missing",
			(int)fails.len - 2, fails.s);
	else
		because(f, "no jail could be limited by it; version 1 of cgroups may hold what is "
			   "missing");
	mend(f, "sed -i 's/^GRUB_CMDLINE_LINUX=\"/&systemd.unified_cgroup_hierarchy=1 "
		"cgroup_no_v1=all /' /etc/default/grub");
	mend(f, "update-grub && reboot");
}

/* ---- clock ---- */

#define EARLIEST 1735689600 /* 2025: newgate is not older */

enum clock_state clock_judge(bool synchronised, int64_t now)
{
	return now < EARLIEST ? CLOCK_WRONG : synchronised ? CLOCK_FINE : CLOCK_UNSYNCHRONISED;
}

void check_clock(struct doctor *d)
{
	struct timex t = {0};
	char date[32] = "";
	time_t now = time(NULL);
	struct tm tm;
	struct finding *f = NULL;

	int state = adjtimex(&t);
	if (gmtime_r(&now, &tm))
		strftime(date, sizeof date, "%Y-%m-%d %H:%M UTC", &tm);
	switch (clock_judge(state != TIME_ERROR && state >= 0, now)) {
	case CLOCK_WRONG:
		f = found(d, DOCTOR_HINDERS, "the clock says %s", date);
		because(f, "certificates, mail and logs of every jail are wrong with it");
		break;
	case CLOCK_UNSYNCHRONISED:
		f = found(d, DOCTOR_ADVICE, "nothing keeps the clock right");
		because(f,
			"it says %s, and drifts by seconds a day: certificates, mail and logs "
			"of every jail go by it",
			date);
		break;
	default:
		return;
	}
	mend(f, "apt install systemd-timesyncd && timedatectl set-ntp true");
}
