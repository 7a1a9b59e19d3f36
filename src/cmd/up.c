/* newgate up: what runs is made equal to what is configured. */
#include <getopt.h>
#include <stdio.h>
#include "base/str.h"
#include "cmd/cmd.h"
#include "cmd/configured.h"
#include "cmd/confirming.h"
#include "cmd/output.h"
#include "cmd/renaming.h"
#include "cmd/watching.h"
#include "conf/check.h"
#include "run/up.h"
#include "sys/fd.h"

#define DIFFERS 2 /* the exit status of -n */

struct options {
	bool only_print, json, verbose;
	unsigned confirm; /* seconds, 0: at once and for good */
};

/* jail_list may only name what is configured. */
static bool good_list(struct configured *c)
{
	struct diags d autodone(diags_done) = {0};
	(void)!conf_check_list(&c->conf, &c->rc, &d);
	return tell_diags(&d, false);
}

static int print_plan(const struct up *u, bool json)
{
	if (!json) {
		for (size_t i = 0; i < u->plan.n; i++)
			if (u->plan.v[i].kind != ACT_FAULT)
				printf("%s\n", u->plan.v[i].text);
		return 0;
	}
	struct output *o = output_open(stdout, true, "actions");
	for (size_t i = 0; i < u->plan.n; i++) {
		output_row(o);
		output_str(o, "action", "", act_word(u->plan.v[i].kind));
		output_str(o, "jail", "", u->plan.v[i].jail);
		output_str(o, "text", "", u->plan.v[i].text);
	}
	return output_close(o);
}

static size_t running(const struct up *u)
{
	size_t n = 0;
	for (size_t i = 0; i < u->all.n; i++)
		n += u->all.jail[i].rec != NULL;
	return n;
}

static int run_confirmed(struct configured *c, struct up *u, const struct options *o, int *lock)
{
	struct confirming change = {
	    .jails = &u->all, .pf = u->pf, .on = true, .seconds = o->confirm};
	if (confirming_start(&c->state, &change))
		return 1;
	int status = up_run(u, &c->rc, o->verbose, &configured_sink);
	close(take_fd(lock));
	return confirming_wait(&change) | status;
}

static int do_plan(struct configured *c, struct up *u, const struct options *o, int *lock)
{
	bool faults = false;
	for (size_t i = 0; i < u->warnings.n; i++)
		warn_msg("%s", u->warnings.v[i]);
	for (size_t i = 0; i < u->plan.n; i++)
		if (u->plan.v[i].kind == ACT_FAULT) {
			warn_msg("%s", u->plan.v[i].text);
			faults = true;
		}
	if (print_plan(u, o->json) < 0)
		return 1;
	if (!u->plan.n && !o->json)
		printf("nothing to do: what runs is what is configured (%zu jail%s)\n", running(u),
		       running(u) == 1 ? "" : "s");
	fflush(stdout);
	if (o->only_print)
		return faults ? 1 : u->plan.n ? DIFFERS : 0;
	if (!u->plan.n)
		return 0;
	return o->confirm ? run_confirmed(c, u, o, lock)
			  : up_run(u, &c->rc, o->verbose, &configured_sink);
}

static int up_with(struct configured *c, const struct options *o, const struct up_scope *scope)
{
	struct up u autodone(up_done) = {0};
	struct ng_err err = {0};
	autoclose int lock = -1;
	if (!o->only_print)
		lock = up_lock(&c->state, &err);
	if (!confirming_free(&c->state) && !o->only_print)
		return 1;
	if ((!o->only_print && lock < 0) ||
	    up_plan(&u, &c->state, &c->conf, &c->rc, scope, &err) < 0) {
		warn_msg("%s", err.text);
		return 1;
	}
	int status = do_plan(c, &u, o, &lock);
	if (!o->only_print)
		watching_start(&c->state);
	return status;
}

static int up_named(struct configured *c, const struct options *o, char **names, int n)
{
	const struct up_scope scope = {(const char *const *)names, (size_t)n,
				       (const char *const *)c->rc.jail_list};
	for (int i = 0; i < n; i++)
		if (!conf_is_wildcard(names[i]) && !configured_knows(c, names[i]))
			return 1;
	if (!n && c->rc.jail_enable_set && !c->rc.jail_enable) {
		warn_msg("jail_enable is \"NO\" in rc.conf: nothing is done; name jails to bring "
			 "them up all the same");
		return 0;
	}
	return up_with(c, o, &scope);
}

static int up_run_verb(int argc, char **argv)
{
	static const struct option longs[] = {
	    {"json", no_argument, NULL, 'J'}, {"confirm", required_argument, NULL, 'c'}, {0}};
	struct configured c autodone(configured_done) = {0};
	struct options o = {0};
	for (int opt; (opt = getopt_long(argc, argv, "nv", longs, NULL)) != -1;) {
		if (opt == 'n')
			o.only_print = true;
		else if (opt == 'v')
			o.verbose = true;
		else if (opt == 'J')
			o.json = true;
		else if (opt != 'c')
			return usage(&cmd_up);
		else if (!confirming_seconds(optarg, &o.confirm))
			return 1;
	}
	autofree char *half_renamed = renaming_complaint(cmd_root);
	if (half_renamed) {
		warn_msg("%s", half_renamed);
		return 1;
	}
	if (configured_open(&c) || !good_list(&c))
		return 1;
	return up_named(&c, &o, argv + optind, argc - optind);
}

const struct cmd cmd_up = {
    .name = "up",
    .run = up_run_verb,
    .args = "[-nv] [--json] [--confirm SECONDS] [NAME …]",
    .summary = "makes what runs equal to what is configured",
    .help = "Prints what differs, then does it: starts, stops, restarts, changes and repairs.\n"
	    "  -n      only print; the exit status is 2 where something differs\n"
	    "  -v      also tell every step\n"
	    "  --json  print the differences as JSON\n"
	    "\n"
	    "NAME is a jail or a wildcard; without it, all jails, of which those of jail_list in\n"
	    "rc.conf (all where there is no such list) are to run.\n",
};
