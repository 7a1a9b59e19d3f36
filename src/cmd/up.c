/* newgate up: what runs is made equal to what is configured. */
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include "base/num.h"
#include "base/str.h"
#include "cmd/cmd.h"
#include "cmd/configured.h"
#include "cmd/goback.h"
#include "cmd/output.h"
#include "cmd/renaming.h"
#include "conf/check.h"
#include "run/confirm.h"
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

/* ---- --confirm ---- */

/* A change that waits keeps others from being made: what would going back mean then? */
static bool nothing_waits(struct configured *c, bool only_print)
{
	int left;
	switch (confirm_look(&c->state, &left)) {
	case CONFIRM_NONE:
		return true;
	case CONFIRM_ORPHANED:
		warn_msg(
		    "a change waited to be confirmed, and the process that would have gone back "
		    "was killed: `newgate confirm` keeps what runs now, `newgate confirm "
		    "--back` goes back");
		return only_print;
	default:
		if (left < 0)
			warn_msg("another newgate up --confirm is at work");
		else
			warn_msg(
			    "a change waits to be confirmed: `newgate confirm` keeps it, "
			    "`newgate confirm --back` goes back, which happens by itself in %d "
			    "s",
			    left);
		return only_print;
	}
}

/* On a terminal: until Enter is pressed, or it ended otherwise. */
static int wait_for_enter(int sock, unsigned seconds)
{
	struct pollfd p[] = {{.fd = sock, .events = POLLIN},
			     {.fd = STDIN_FILENO, .events = POLLIN}};
	char end, line[64];
	fprintf(stderr, "goes back in %u s: press Enter to keep it ", seconds);
	fflush(stderr);
	while (poll(p, 2, -1) < 0 && errno == EINTR)
		;
	if (!p[0].revents && read(STDIN_FILENO, line, sizeof(line)) > 0 &&
	    fd_send(sock, "keep", 4, NULL, 0) < 0)
		return 1;
	end = confirm_end(sock);
	fputc('\n', stderr);
	if (end == 'k')
		printf("confirmed: what runs now stays\n");
	else if (end)
		warn_msg(end == 'b' ? "not confirmed: what ran before runs again; jail.conf is as "
				      "you left it"
				    : "not confirmed, and not all of it went back; see newgate up "
				      "-n, and /var/log/newgate.log");
	else
		warn_msg(
		    "the process that would have gone back was killed: `newgate confirm` keeps "
		    "what runs now, `newgate confirm --back` goes back");
	return end != 'k';
}

static int run_confirmed(struct configured *c, struct up *u, const struct options *o, int *lock)
{
	struct ng_err err = {0};
	autoclose int sock = -1;
	if (confirm_keep(&c->state, &u->all, &err) < 0 ||
	    (u->pf && confirm_keep_pf(&c->state, &err) < 0) ||
	    confirm_start(&c->state, o->confirm, go_back, &sock, &err) < 0) {
		warn_msg("%s", err.text);
		confirm_forget(&c->state);
		return 1;
	}
	int status = up_run(u, &c->rc, o->verbose, &configured_sink);
	int rc = confirm_applied(sock);
	close(take_fd(lock));
	if (rc < 0) {
		warn_msg("the process that is to go back was killed: `newgate confirm` keeps what "
			 "runs now, `newgate confirm --back` goes back");
		return 1;
	}
	if (isatty(STDIN_FILENO))
		return wait_for_enter(sock, o->confirm) | status;
	fprintf(stderr, "goes back in %u s, unless confirmed: newgate confirm\n", o->confirm);
	return status;
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
	if (!nothing_waits(c, o->only_print))
		return 1;
	if ((!o->only_print && lock < 0) ||
	    up_plan(&u, &c->state, &c->conf, &c->rc, scope, &err) < 0) {
		warn_msg("%s", err.text);
		return 1;
	}
	return do_plan(c, &u, o, &lock);
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
		else if (num_u32(optarg, 1, 24 * 60 * 60, &o.confirm) < 0) {
			warn_msg("--confirm %s: within how many seconds? 1 to 86400", optarg);
			return 1;
		}
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
