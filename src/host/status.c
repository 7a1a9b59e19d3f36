#include "host/status.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include "base/mem.h"
#include "base/num.h"
#include "conf/value.h"
#include "host/watch.h"
#include "net/ban.h"
#include "store/measure.h"

#define MIB (UINT64_C(1) << 20)
#define DAY INT64_C(86400)

static void find(struct host_status *s, bool fault, const char *command, const char *fmt, ...)
    PRINTF(4, 5);

static void find(struct host_status *s, bool fault, const char *command, const char *fmt, ...)
{
	struct str text = {0};
	va_list ap;

	va_start(ap, fmt);
	str_vaddf(&text, fmt, ap);
	va_end(ap);
	s->finding = mem_grow(s->finding, s->nfindings, sizeof(*s->finding));
	size_t at = s->nfindings++;
	for (; fault && at && !s->finding[at - 1].fault; at--)
		s->finding[at] = s->finding[at - 1];
	s->finding[at] =
	    (struct status_finding){fault, str_take(&text), command ? mem_strdup(command) : NULL};
}

/* ---- jails ---- */

static uint64_t memory_limit(struct state *state, const char *jail)
{
	struct record r autodone(record_done) = {0};
	struct ng_err none = {0};
	uint64_t limit = 0;

	if (state_find(state, jail, &r, &none) < 0)
		return 0;
	for (size_t i = 0; i < r.param.n; i++) {
		struct conf_rctl c;
		const char *why;

		if (str_prefix(r.param.v[i], "rctl=") &&
		    value_rctl(r.param.v[i] + 5, &c, &why) == 0 && c.resource == RCTL_MEMORYUSE)
			limit = c.amount;
	}
	return limit;
}

static int look_jails(struct host_status *s, const struct host *h, struct state *state,
		      const struct conf *conf, const struct rcconf *rc, struct ng_err *err)
{
	struct strv faults autodone(strv_done) = {0};
	int r = overview_read(state, conf, &s->all, err);

	if (r < 0)
		return r;
	for (const char *const *jail = host_jails(h); *jail; jail++) {
		struct status_jail j = {.name = *jail};

		for (size_t k = 0; k < s->all.n; k++)
			if (str_eq(s->all.v[k].name, *jail))
				j.seen = &s->all.v[k];
		if (j.seen && j.seen->since)
			j.memory_limit = memory_limit(state, j.name);
		s->jail = mem_grow(s->jail, s->njails, sizeof(*s->jail));
		s->jail[s->njails++] = j;
	}
	if (rc)
		r = overview_faults(&s->all, state, rc, &faults, err);
	for (size_t i = 0; i < faults.n; i++)
		find(s, true, "newgate up", "%s", faults.v[i]);
	return r;
}

/* ---- mailboxes ---- */

static struct status_mailbox *add_mailbox(struct host_status *s, const char *address)
{
	s->mailbox = mem_grow(s->mailbox, s->nmailboxes, sizeof(*s->mailbox));
	s->mailbox[s->nmailboxes] = (struct status_mailbox){.address = mem_strdup(address)};
	return &s->mailbox[s->nmailboxes++];
}

void status_parse_quota(struct host_status *s, const char *text)
{
	struct strv lines autodone(strv_done) = {0};

	strv_split(&lines, text, "\n");
	for (size_t i = 0; i < lines.n; i++) {
		struct strv field autodone(strv_done) = {0};
		uint64_t used, limit = 0;

		/* Address, name, type, KiB, their limit or "-", percent. */
		strv_split(&field, lines.v[i], "\t");
		if (field.n != 6 || !str_eq(field.v[2], "STORAGE") ||
		    num_u64(field.v[3], 0, UINT64_MAX / 1024, &used) < 0)
			continue;
		(void)!num_u64(field.v[4], 0, UINT64_MAX / 1024, &limit);
		struct status_mailbox *m = add_mailbox(s, field.v[0]);
		m->used = used * 1024;
		m->limit = limit * 1024;
		m->known = true;
	}
}

/* Dovecot does not run: what the list says. */
static void list_mailboxes(struct host_status *s, const struct host *h, const struct host_lists *l)
{
	autofree char *user = NULL;
	const char *rest;

	for (size_t i = 0; host_next(l, LIST_USERS, &i, &user, &rest);) {
		autofree char *hash = NULL, *quota = NULL;
		struct status_mailbox *m = add_mailbox(s, user);

		host_user_parse(rest, &hash, &quota);
		(void)!num_size(quota ? quota : h->quota, &m->limit);
	}
}

static void look_mailboxes(struct host_status *s, const struct host *h, const struct host_lists *l,
			   struct state *state)
{
	static const char *const argv[] = {"doveadm", "-f", "tab", "quota", "get", "-A", NULL};
	struct str out autodone(str_done) = {0};
	struct ng_err err = {0};

	if (!inside_runs(state, "dovecot")) {
		list_mailboxes(s, h, l);
		return;
	}
	/* It goes on behind a mailbox that it cannot read. */
	int rc = inside_run(state, "dovecot", argv, NULL, &out, &err);
	status_parse_quota(s, str_text(&out));
	if (rc)
		find(s, true, "newgate logs dovecot", "%s",
		     rc < 0 ? err.text : "dovecot cannot tell the size of every mailbox");
}

/* ---- letters, certificates, disk ---- */

static void look_queue(struct host_status *s, struct state *state)
{
	struct ng_err err = {0};

	if (!inside_runs(state, "postfix"))
		return;
	s->queue_known = queue_read(state, &s->queue, &err) == 0;
	if (!s->queue_known)
		find(s, true, "newgate logs postfix", "%s", err.text);
}

static void look_bans(struct host_status *s, struct state *state)
{
	struct bans b autodone(bans_done) = BANS_NONE;
	struct ng_err err = {0};

	if (bans_open(&b, state, &err) < 0)
		find(s, true, NULL, "%s", err.text);
	s->bans = bans_count(&b, time(NULL));
	if (watch_wanted(state) && !watch_runs(state))
		find(s, true, "newgate up",
		     "nobody watches for failed logins, so that nobody is banned");
}

static void look_cert(struct host_status *s, const struct host *h, const char *folder)
{
	struct status_cert c = {.file = NULL};
	struct ng_err err = {0};
	struct str file = {0};

	str_addf(&file, HOST_ETC "/tls%s/fullchain.pem", folder);
	autofree char *path = host_path(h, "%s", file.s);
	int rc = cert_read(path, &c.cert, &err);
	c.file = str_take(&file);
	if (rc == 0) {
		s->cert = mem_grow(s->cert, s->ncerts, sizeof(*s->cert));
		s->cert[s->ncerts++] = c;
		return;
	}
	/* A site shares the host's until it has its own. */
	if (rc != -ENOENT || !*folder) {
		struct str command autodone(str_done) = {0};

		str_addf(&command, "newgate host init %s", h->domain);
		find(s, true, command.s, "%s", err.text);
	}
	free(c.file);
	cert_done(&c.cert);
}

static void look_certs(struct host_status *s, const struct host *h, const struct host_lists *l)
{
	autofree char *site = NULL;
	const char *rest;

	look_cert(s, h, "");
	for (size_t i = 0; host_next(l, LIST_SITES, &i, &site, &rest);) {
		struct str folder autodone(str_done) = {0};

		str_addf(&folder, "/%s", site);
		look_cert(s, h, folder.s);
	}
}

static void look_disk(struct host_status *s, const struct host *h)
{
	for (const char *const *name = host_jails(h); *name; name++) {
		autofree char *path = host_path(h, HOST_DATA "/%s", *name);
		struct status_folder f = {.path = *name};
		autoclose int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		struct statvfs fs;
		struct stat st;

		if (dir < 0 && errno == ENOENT)
			continue; /* it keeps nothing */
		int rc = dir < 0 || fstatvfs(dir, &fs) < 0 || fstat(dir, &st) < 0
			     ? -errno
			     : measure_tree(dir, &f.used, NULL);
		if (rc < 0) {
			find(s, true, NULL, "%s: %s", path, strerror(-rc));
			continue;
		}
		f.free = (uint64_t)fs.f_bavail * fs.f_frsize;
		f.size = (uint64_t)fs.f_blocks * fs.f_frsize;
		f.device = st.st_dev;
		s->folder = mem_grow(s->folder, s->nfolders, sizeof(*s->folder));
		s->folder[s->nfolders++] = f;
	}
}

/* ---- what needs doing ---- */

static void judge_jails(struct host_status *s)
{
	for (size_t i = 0; i < s->njails; i++) {
		const struct status_jail *j = &s->jail[i];
		struct str command autodone(str_done) = {0};
		bool runs = j->seen && j->seen->state == JAIL_RUNNING;

		str_addf(&command, "newgate %s %s", runs ? "logs" : "up", j->name);
		if (!runs)
			find(s, true, command.s, "jail %s does not run%s%s", j->name,
			     j->seen && j->seen->failure ? ": " : "",
			     j->seen && j->seen->failure ? j->seen->failure : "");
		else if (j->seen->usage.services.paused)
			find(s, true, command.s, "a service of jail %s ends again and again: %s",
			     j->name, j->seen->failure ? j->seen->failure : "nobody knows why");
	}
}

/* A name server or a receiver that is away for an hour is nothing; those who wait for longer want to
 * know. */
static void judge_queue(struct host_status *s, time_t now)
{
	size_t late = 0;

	for (size_t i = 0; i < s->queue.n; i++)
		late +=
		    !str_eq(s->queue.v[i].queue, "hold") && now - s->queue.v[i].since > 4 * 3600;
	if (late)
		find(s, false, "newgate host queue", "%zu letter%s wait%s for more than four hours",
		     late, late == 1 ? "" : "s", late == 1 ? "s" : "");
}

static void judge_mailboxes(struct host_status *s, const struct host *h)
{
	struct str command autodone(str_done) = {0};

	str_addf(&command, "newgate host user add you@%s", h->domain);
	if (!s->nmailboxes)
		find(s, false, command.s, "there is no mailbox yet");
	for (size_t i = 0; i < s->nmailboxes; i++) {
		const struct status_mailbox *m = &s->mailbox[i];
		struct str more autodone(str_done) = {0};

		if (!m->known || !m->limit || m->used < m->limit / 20 * 19)
			continue;
		str_addf(&more, "newgate host user quota %s %" PRIu64 "M", m->address,
			 m->limit / MIB * 2);
		find(s, false, more.s, "the mailbox of %s is full to %" PRIu64 " %%", m->address,
		     m->used / (m->limit / 100 ? m->limit / 100 : 1));
	}
}

static void judge_certs(struct host_status *s, const struct host *h, time_t now)
{
	const char *renew = str_eq(h->acme, "none") ? NULL : "newgate host renew";

	for (size_t i = 0; i < s->ncerts; i++) {
		const struct cert *c = &s->cert[i].cert;
		const char *name = c->names.n ? c->names.v[0] : h->hostname;
		int64_t left = (c->until - now) / DAY;

		if (c->until <= now)
			find(s, true, renew, "the certificate of %s has expired", name);
		else if (c->own)
			find(s, false, renew,
			     "nobody vouches for the certificate of %s: other people's "
			     "programs warn of it",
			     name);
		/* The timer has tried for a while. */
		else if (cert_due(c, now) && c->until - now < (c->until - c->since) / 6)
			find(s, left < 1, renew,
			     "the certificate of %s expires in %" PRId64
			     " days and was not renewed",
			     name, left);
	}
}

/* Postfix takes no letter where it finds less than one and a half times the largest: 75 MiB. */
static void judge_disk(struct host_status *s)
{
	for (size_t i = 0; i < s->nfolders; i++) {
		const struct status_folder *f = &s->folder[i];
		uint64_t percent = f->size ? f->free / (f->size / 100 ? f->size / 100 : 1) : 100;
		struct str command autodone(str_done) = {0};
		bool told = false;

		for (size_t k = 0; k < i; k++)
			told |= s->folder[k].device == f->device;
		if (told || (f->free >= 128 * MIB && (percent >= 5 || f->free >= 2048 * MIB)))
			continue;
		str_addf(&command, "du -xh --max-depth=2 " HOST_DATA " | sort -h | tail");
		find(s, f->free < 128 * MIB, command.s,
		     "the disk of " HOST_DATA "/%s has %" PRIu64 " MiB left, %" PRIu64 " %%",
		     f->path, f->free / MIB, percent);
	}
}

void status_judge(struct host_status *s, const struct host *h, time_t now)
{
	judge_jails(s);
	judge_disk(s);
	judge_certs(s, h, now);
	judge_queue(s, now);
	judge_mailboxes(s, h);
}

int host_status_read(struct host_status *s, const struct host *h, const struct host_lists *l,
		     struct state *state, const struct conf *conf, const struct rcconf *rc,
		     struct ng_err *err)
{
	int r = look_jails(s, h, state, conf, rc, err);

	if (r < 0)
		return r;
	look_queue(s, state);
	look_bans(s, state);
	look_mailboxes(s, h, l, state);
	look_certs(s, h, l);
	look_disk(s, h);
	status_judge(s, h, time(NULL));
	return 0;
}

void host_status_done(struct host_status *s)
{
	overview_done(&s->all);
	queue_done(&s->queue);
	for (size_t i = 0; i < s->nmailboxes; i++)
		free(s->mailbox[i].address);
	for (size_t i = 0; i < s->ncerts; i++) {
		free(s->cert[i].file);
		cert_done(&s->cert[i].cert);
	}
	for (size_t i = 0; i < s->nfindings; i++) {
		free(s->finding[i].text);
		free(s->finding[i].command);
	}
	free(s->jail);
	free(s->mailbox);
	free(s->cert);
	free(s->folder);
	free(s->finding);
	*s = (struct host_status){0};
}
