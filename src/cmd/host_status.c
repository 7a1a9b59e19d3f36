/* newgate host status: the mail host on one screen, what needs doing last. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/hosting.h"
#include "conf/files.h"
#include "host/status.h"

#define SHOWN 10 /* mailboxes; those that are fullest */

/* ---- tables ---- */

static void put_jails(struct output *o, const struct host_status *s, bool json)
{
	for (size_t i = 0; i < s->njails; i++) {
		const struct status_jail *j = &s->jail[i];
		const struct overview_jail *v = j->seen;
		bool runs = v && v->since;

		output_row(o);
		output_str(o, "jail", "JAIL", j->name);
		output_str(o, "state", "STATE", v ? jail_state_name(v->state) : "not configured");
		if (!runs) {
			output_str(o, json ? "since" : "up", "UP", NULL);
			output_str(o, "services", "SERVICES", NULL);
			output_str(o, "restarts", "RESTARTS", NULL);
			output_str(o, "memory", "MEMORY", NULL);
			output_str(o, "limit", "LIMIT", NULL);
			continue;
		}
		if (json)
			output_num(o, "since", "", (uint64_t)v->since);
		else
			output_span(o, "up", "UP", time(NULL) - v->since);
		output_num(o, "services", "SERVICES", v->usage.services.services);
		output_num(o, "restarts", "RESTARTS", v->usage.services.restarts);
		output_bytes(o, "memory", "MEMORY", v->usage.cg.memory);
		if (j->memory_limit)
			output_bytes(o, "limit", "LIMIT", j->memory_limit);
		else
			output_str(o, "limit", "LIMIT", NULL);
	}
}

static uint64_t percent(uint64_t part, uint64_t whole)
{
	return whole >= 100 ? part / (whole / 100) : 0;
}

static int by_fill(const void *a, const void *b)
{
	const struct status_mailbox *x = *(struct status_mailbox *const *)a,
				    *y = *(struct status_mailbox *const *)b;
	uint64_t p = percent(x->used, x->limit), q = percent(y->used, y->limit);

	if (p != q)
		return p > q ? -1 : 1;
	return x->used == y->used ? strcmp(x->address, y->address) : x->used > y->used ? -1 : 1;
}

static void put_mailboxes(struct output *o, const struct host_status *s, bool json)
{
	autofree const struct status_mailbox **v = mem_alloc((s->nmailboxes + 1) * sizeof(*v));

	for (size_t i = 0; i < s->nmailboxes; i++)
		v[i] = &s->mailbox[i];
	if (!json)
		qsort(v, s->nmailboxes, sizeof(*v), by_fill);
	for (size_t i = 0; i < s->nmailboxes && (json || i < SHOWN); i++) {
		const struct status_mailbox *m = v[i];

		output_row(o);
		output_str(o, "user", "MAILBOX", m->address);
		if (m->known)
			output_bytes(o, "used", "USED", m->used);
		else
			output_str(o, "used", "USED", NULL);
		if (m->limit)
			output_bytes(o, "quota", "QUOTA", m->limit);
		else
			output_str(o, "quota", "QUOTA", NULL);
		if (!json && m->known && m->limit)
			output_num(o, "full", "% FULL", percent(m->used, m->limit));
		else if (!json)
			output_str(o, "full", "% FULL", NULL);
	}
}

static void put_certs(struct output *o, const struct host_status *s, bool json)
{
	for (size_t i = 0; i < s->ncerts; i++) {
		const struct cert *c = &s->cert[i].cert;
		int64_t left = (c->until - time(NULL)) / 86400;

		output_row(o);
		output_list(o, "names", "CERTIFICATE", (const char *const *)c->names.v,
			    json || !c->names.n ? c->names.n : 1);
		output_str(o, "issuer", "ISSUER", c->own && !json ? "itself" : c->issuer);
		if (json) {
			output_bool(o, "own", "", c->own);
			output_num(o, "until", "", (uint64_t)c->until);
			output_str(o, "file", "", s->cert[i].file);
		} else {
			output_num(o, "days", "DAYS LEFT", left > 0 ? (uint64_t)left : 0);
		}
	}
}

static void put_folders(struct output *o, const struct host_status *s)
{
	for (size_t i = 0; i < s->nfolders; i++) {
		const struct status_folder *f = &s->folder[i];
		struct str path autodone(str_done) = {0};

		str_addf(&path, HOST_DATA "/%s", f->path);
		output_row(o);
		output_str(o, "folder", "FOLDER", path.s);
		output_bytes(o, "used", "USED", f->used);
		output_bytes(o, "free", "FREE", f->free);
		output_bytes(o, "size", "OF", f->size);
	}
}

/* ---- for people ---- */

static void print_queue(const struct host_status *s)
{
	char age[SPAN_TEXT];

	if (!s->queue_known) {
		puts("\nqueue: not known while postfix does not run");
		return;
	}
	if (!s->queue.n) {
		puts("\nqueue: no letter waits");
		return;
	}
	printf("\nqueue: %zu letter%s wait%s, the oldest for %s", s->queue.n,
	       s->queue.n == 1 ? "" : "s", s->queue.n == 1 ? "s" : "",
	       span_text(time(NULL) - s->queue.v[0].since, age));
	if (s->queue.deferred)
		printf("; %zu put off", s->queue.deferred);
	if (s->queue.held)
		printf("; %zu held", s->queue.held);
	putchar('\n');
}

static void print_findings(const struct host_status *s)
{
	putchar('\n');
	for (size_t i = 0; i < s->nfindings; i++) {
		const struct status_finding *f = &s->finding[i];

		printf("%s: %s\n", f->fault ? "fault" : "to do", f->text);
		if (f->command)
			printf("       %s\n", f->command);
	}
	if (!s->nfindings)
		puts("nothing needs doing");
}

static int print_text(const struct host_status *s)
{
	struct output *o = output_open(stdout, false, "jails");

	put_jails(o, s, false);
	output_next(o, "mailboxes");
	print_queue(s);
	printf("bans:  %zu address%s (newgate host ban list)\n", s->bans, s->bans == 1 ? "" : "es");
	putchar('\n');
	put_mailboxes(o, s, false);
	output_next(o, "certificates");
	if (s->nmailboxes > SHOWN)
		printf("… and %zu more that are less full\n", s->nmailboxes - SHOWN);
	if (s->nmailboxes)
		putchar('\n');
	put_certs(o, s, false);
	output_next(o, "folders");
	putchar('\n');
	put_folders(o, s);
	int rc = output_close(o);
	print_findings(s);
	return rc;
}

/* ---- JSON ---- */

static int print_json(const struct host_status *s)
{
	struct output *o = output_open(stdout, true, "jails");

	put_jails(o, s, true);
	output_next(o, "queue");
	if (s->queue_known) {
		output_row(o);
		output_num(o, "letters", "", s->queue.n);
		output_num(o, "deferred", "", s->queue.deferred);
		output_num(o, "held", "", s->queue.held);
		if (s->queue.n)
			output_num(o, "oldest", "", (uint64_t)s->queue.v[0].since);
		else
			output_str(o, "oldest", "", NULL);
	}
	output_next(o, "bans");
	output_row(o);
	output_num(o, "addresses", "", s->bans);
	output_next(o, "mailboxes");
	put_mailboxes(o, s, true);
	output_next(o, "certificates");
	put_certs(o, s, true);
	output_next(o, "folders");
	put_folders(o, s);
	output_next(o, "findings");
	for (size_t i = 0; i < s->nfindings; i++) {
		output_row(o);
		output_str(o, "level", "", s->finding[i].fault ? "fault" : "warning");
		output_str(o, "text", "", s->finding[i].text);
		output_str(o, "command", "", s->finding[i].command);
	}
	return output_close(o);
}

/* ---- the verb ---- */

static int show(struct hosting *g, bool json)
{
	struct host_status s autodone(host_status_done) = {0};
	struct conf conf autodone(conf_done) = {0};
	struct rcconf rc autodone(rcconf_done) = {0};
	struct diags d autodone(diags_done) = {0};
	struct ng_err err = {0};
	autofree char *path = files_path(cmd_root, "/etc/rc.conf");

	/* What is wrong in them newgate check tells: here what could be read of them does. */
	(void)!files_read_all(&conf, cmd_root, &d);
	(void)!rcconf_read(&rc, path, &d);
	if (host_status_read(&s, &g->h, &g->l, &g->state, &conf, &rc, &err) < 0) {
		warn_msg("%s", err.text);
		return 1;
	}
	if (d.errors)
		warn_msg("the configuration has faults: newgate check");
	int r = json ? print_json(&s) : print_text(&s);
	return r < 0 || d.errors || (s.nfindings && s.finding[0].fault);
}

int host_status(int argc, char **argv)
{
	struct hosting g autodone(hosting_done) = HOSTING_NONE;
	bool json = false;

	return host_flag(argc, argv, "json", &json) || hosting_open(&g, false) || show(&g, json);
}
