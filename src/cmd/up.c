/* newgate up: what runs is made equal to what is configured. */
#include <getopt.h>
#include <stdio.h>
#include "base/str.h"
#include "cmd/cmd.h"
#include "cmd/configured.h"
#include "cmd/output.h"
#include "run/up.h"

#define DIFFERS 2 /* the exit status of -n */

struct options {
	bool only_print, json, verbose;
};

/* jail_list may only name what is configured. */
static bool good_list(struct configured *c)
{
	bool good = true;
	for (size_t i = 0; c->rc.jail_list && c->rc.jail_list[i]; i++)
		if (!conf_find(&c->conf, c->rc.jail_list[i])) {
			warn_msg("rc.conf: jail_list names \"%s\", which no file configures",
				 c->rc.jail_list[i]);
			good = false;
		}
	return good;
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

static int do_plan(struct configured *c, struct up *u, const struct options *o)
{
	bool faults = false;
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
	return u->plan.n ? up_run(u, &c->rc, o->verbose, &configured_sink) : 0;
}

static int up_with(struct configured *c, const struct options *o, const struct up_scope *scope)
{
	struct up u autodone(up_done) = {0};
	struct ng_err err = {0};
	autoclose int lock = -1;
	if (!o->only_print)
		lock = up_lock(&c->state, &err);
	if ((!o->only_print && lock < 0) ||
	    up_plan(&u, &c->state, &c->conf, &c->rc, scope, &err) < 0) {
		warn_msg("%s", err.text);
		return 1;
	}
	return do_plan(c, &u, o);
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
	static const struct option longs[] = {{"json", no_argument, NULL, 'J'}, {0}};
	struct configured c autodone(configured_done) = {0};
	struct options o = {0};
	for (int opt; (opt = getopt_long(argc, argv, "nv", longs, NULL)) != -1;) {
		if (opt == 'n')
			o.only_print = true;
		else if (opt == 'v')
			o.verbose = true;
		else if (opt == 'J')
			o.json = true;
		else
			return usage(&cmd_up);
	}
	if (configured_open(&c) || !good_list(&c))
		return 1;
	return up_named(&c, &o, argv + optind, argc - optind);
}

const struct cmd cmd_up = {
    .name = "up",
    .run = up_run_verb,
    .args = "[-nv] [--json] [NAME …]",
    .summary = "makes what runs equal to what is configured",
    .help = "Prints what differs, then does it: starts, stops, restarts, changes and repairs.\n"
	    "  -n      only print; the exit status is 2 where something differs\n"
	    "  -v      also tell every step\n"
	    "  --json  print the differences as JSON\n"
	    "\n"
	    "NAME is a jail or a wildcard; without it, all jails, of which those of jail_list in\n"
	    "rc.conf (all where there is no such list) are to run.\n",
};
