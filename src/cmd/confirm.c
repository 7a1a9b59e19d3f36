/* newgate confirm: a change that waits to be confirmed stays, or goes back. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "base/str.h"
#include "cmd/cmd.h"
#include "cmd/configured.h"
#include "cmd/goback.h"
#include "conf/check.h"
#include "net/net.h"
#include "run/confirm.h"
#include "run/up.h"

/* What pf held before, as far as the change touched it. */
static int go_back_pf(struct configured *c)
{
	struct net n = {0};
	struct diags d autodone(diags_done) = {0};
	struct ng_err err = {0};
	bool on;
	int rc;

	if (!confirm_has_pf(&c->state, &on))
		return 0;
	rc = net_open(&n, &c->state, &c->rc, &err);
	if (rc == 0) {
		rc = on ? 0 : net_pf_switch(&n, false, &d, &err);
		if (rc >= 0)
			rc = net_pf_back(&n, &err);
		net_done(&n);
	}
	if (rc < 0)
		warn_msg("%s", err.text);
	else
		printf("%s\n", rc && on ? "loads what pf held before" : "switches pf off");
	fflush(stdout);
	return rc < 0;
}

static int go_back_with(struct configured *c, struct confirm_kept *kept)
{
	struct up u autodone(up_done) = {0};
	struct ng_err err = {0};
	const struct up_scope scope = {.start = kept->names, .exactly = true};
	autoclose int lock = up_lock(&c->state, &err);
	int status = go_back_pf(c);
	if (lock < 0 || up_plan(&u, &c->state, &kept->conf, &c->rc, &scope, &err) < 0) {
		warn_msg("%s", err.text);
		return 1;
	}
	for (size_t i = 0; i < u.plan.n; i++)
		printf("%s\n", u.plan.v[i].text);
	fflush(stdout);
	return u.plan.n ? up_run(&u, &c->rc, false, &configured_sink) | status : status;
}

int go_back(void)
{
	struct configured c autodone(configured_done) = {0};
	struct confirm_kept kept autodone(confirm_kept_done) = {0};
	struct ng_err err = {0};
	char when[32] = "";
	time_t now = time(NULL);
	struct tm tm;
	if (localtime_r(&now, &tm))
		strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S%z", &tm);
	printf("%s going back to what there was before a change that was to be confirmed\n", when);
	fflush(stdout);
	if (configured_open_rest(&c))
		return 1;
	if (!confirm_has_jails(&c.state))
		return go_back_pf(&c);
	if (confirm_read(&c.state, &kept, &c.diags, &err) < 0) {
		tell_diags(&c.diags, false);
		warn_msg("%s", err.text);
		return 1;
	}
	return go_back_with(&c, &kept);
}

const char *go_back_words(bool jails, bool kept)
{
	if (kept)
		return jails ? "confirmed: what runs now stays" : "confirmed: these rules stay";
	return jails ? "what ran before runs again; jail.conf is as you left it"
		     : "pf holds what it held before; its file is as you left it";
}

/* Nobody waits any more: what it would have done is done here. */
static int instead(struct configured *c, bool back)
{
	int status = back ? go_back() : 0;
	confirm_forget(&c->state);
	return status;
}

static int confirm(struct configured *c, bool back)
{
	bool jails = confirm_has_jails(&c->state);
	int left, status;
	switch (confirm_look(&c->state, &left)) {
	case CONFIRM_NONE:
		warn_msg("nothing waits to be confirmed");
		return 1;
	case CONFIRM_ORPHANED:
		status = instead(c, back);
		break;
	default:
		status = confirm_ask(&c->state, back ? "back" : "keep");
		if (status < 0) {
			warn_msg("the process that waits: %s", strerror(-status));
			return 1;
		}
	}
	if (status)
		warn_msg("not all of it went back; see newgate up -n, and /var/log/newgate.log");
	else
		printf("%s%s\n", back ? "went back: " : "", go_back_words(jails, !back));
	return status;
}

static int confirm_run(int argc, char **argv)
{
	static const struct option longs[] = {{"back", no_argument, NULL, 'b'}, {0}};
	struct configured c autodone(configured_done) = {.state = {.dir = -1}};
	bool back = false;
	for (int opt; (opt = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
		if (opt != 'b')
			return usage(&cmd_confirm);
		back = true;
	}
	if (optind != argc)
		return usage(&cmd_confirm);
	return configured_open_rest(&c) ? 1 : confirm(&c, back);
}

const struct cmd cmd_confirm = {
    .name = "confirm",
    .run = confirm_run,
    .args = "[--back]",
    .summary = "keeps what a command with --confirm changed",
    .help = "  --back  go back to what there was before, now\n"
	    "\n"
	    "For newgate up and pfctl -f. The configuration itself is never touched: after going\n"
	    "back it says what was tried.\n",
};
