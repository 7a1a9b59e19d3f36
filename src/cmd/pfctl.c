/* pfctl(8): loads pf.conf, switches pf, shows and changes what it holds. */
#include "cmd/pfctl.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "cmd/cmd.h"
#include "cmd/confirming.h"
#include "conf/files.h"
#include "run/up.h"

struct options {
	const char *file;                /* -f */
	bool no_action, enable, disable; /* -n, -e, -d */
	const char *flush, *show;        /* -F, -s */
	const char *table, *command;     /* -t, -T */
	const char *kill[3];             /* -k */
	int kills;
	unsigned confirm; /* seconds, 0: at once and for good */
};

/* ---- what the parts share ---- */

void pfctl_say(const struct pfctl *p, const char *fmt, ...)
{
	va_list ap;

	if (p->quiet)
		return;
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
}

/* Others need the lock that it holds. */
static void forget_made(struct pfctl *p)
{
	if (p->made)
		firewall_done(&p->f);
	p->made = p->built_in = false;
}

static void pfctl_done(struct pfctl *p)
{
	forget_made(p);
	if (p->net.host)
		net_done(&p->net);
	state_done(&p->state);
	rcconf_done(&p->rc);
	strv_done(&p->define);
}

int pfctl_open(struct pfctl *p)
{
	autofree char *path = files_path(cmd_root, "/etc/rc.conf");
	struct diags d autodone(diags_done) = {0};
	struct ng_err err = {0};
	int rc = rcconf_read(&p->rc, path, &d);

	if (!tell_diags(&d, false) || rc < 0)
		return 1;
	rc = state_open(&p->state, cmd_root, &err);
	if (rc == 0)
		rc = net_open(&p->net, &p->state, &p->rc, &err);
	if (rc < 0)
		warn_msg("%s", err.text);
	return rc < 0;
}

int pfctl_loaded(struct pfctl *p)
{
	struct diags d autodone(diags_done) = {0};
	struct ng_err err = {0};

	if (p->made)
		return 0;
	if (!firewall_is_on(&p->state, &p->rc) && !firewall_holds(&p->state))
		return pfctl_policy(p);
	p->made = true;
	if (net_pf_make(&p->net, NULL, &p->f, &d, &err) == 0)
		return 0;
	tell_diags(&d, false);
	warn_msg("%s", err.text);
	return 1;
}

/* ---- -f ---- */

/* "-": standard input, as all that are told a file take it. */
static int read_stdin(char **text, size_t *len)
{
	int rc = file_read("-", text, len);

	if (rc < 0)
		warn_msg("standard input: %s", strerror(-rc));
	return rc < 0;
}

/* What -v shows of a load: the rules as they are understood. */
static void print_loaded(const struct pfctl *p)
{
	struct str out autodone(str_done) = {0};

	pf_print(&out, &p->f.pf, p->anchor, PF_PRINT_ALL);
	fputs(str_text(&out), stdout);
}

/* Loads what was made; with `change`, so that it goes back unless it is confirmed. */
static int load_made(struct pfctl *p, struct confirming *change)
{
	struct ng_err err = {0};
	autoclose int lock = -1;

	if (change && (lock = up_lock(&p->state, &err)) < 0) {
		warn_msg("%s", err.text);
		return 1;
	}
	if (change && (!confirming_free(&p->state) || confirming_start(&p->state, change)))
		return 1;
	int rc = net_pf_load(&p->net, &p->f, &err);
	if (rc < 0)
		warn_msg("%s: pf rules not loaded", err.text);
	if (change && rc == 0)
		pfctl_say(p, "these rules are loaded already: nothing waits to be confirmed\n");
	if (change && rc <= 0)
		confirming_end(change);
	return rc < 0;
}

static int load(struct pfctl *p, const struct options *o, struct confirming *change)
{
	struct diags d autodone(diags_done) = {0};
	struct ng_err err = {0};
	autofree char *text = NULL;
	struct firewall_load l = {
	    .anchor = p->anchor, .path = o->file, .define = (const char *const *)p->define.v};

	if (str_eq(o->file, "-")) {
		if (read_stdin(&text, &l.len))
			return 1;
		l.text = text;
		l.path = "stdin";
	}
	p->made = true;
	int rc = net_pf_make(&p->net, &l, &p->f, &d, &err);
	bool good = tell_diags(&d, !p->quiet) && rc == 0;
	if (!good) {
		if (rc < 0 && !d.errors)
			warn_msg("%s", err.text);
		warn_msg("Syntax error in config file: pf rules not loaded");
		return 1;
	}
	if (p->verbose)
		print_loaded(p);
	return o->no_action ? 0 : load_made(p, o->confirm ? change : NULL);
}

/* ---- -e, -d ---- */

static int switch_pf(struct pfctl *p, bool on)
{
	struct diags d autodone(diags_done) = {0};
	struct ng_err err = {0};

	forget_made(p);
	int rc = net_pf_switch(&p->net, on, &d, &err);

	tell_diags(&d, !p->quiet);
	if (rc < 0) {
		warn_msg("%s", err.text);
		return 1;
	}
	if (rc == 0) {
		warn_msg(on ? "pf already enabled" : "pf not enabled");
		return 1;
	}
	pfctl_say(p, on ? "pf enabled\n" : "pf disabled\n");
	return 0;
}

/* ---- -F ---- */

/* Rules are flushed by loading what is left: a ruleset without those of that kind. */
static int flush_rules(struct pfctl *p, unsigned keep, const char *what)
{
	struct str left autodone(str_done) = {0};
	struct diags d autodone(diags_done) = {0};
	struct ng_err err = {0};

	if (pfctl_loaded(p))
		return 1;
	pf_print(&left, &p->f.pf, p->anchor, keep);
	const struct firewall_load l = {
	    .anchor = p->anchor, .path = "flushed", .text = str_text(&left), .len = left.len};
	firewall_done(&p->f);
	int rc = net_pf_make(&p->net, &l, &p->f, &d, &err);
	if (rc == 0)
		rc = net_pf_load(&p->net, &p->f, &err);
	if (rc < 0) {
		tell_diags(&d, false);
		warn_msg("%s", err.text);
		return 1;
	}
	pfctl_say(p, "%s cleared\n", what);
	forget_made(p);
	return 0;
}

static int flush_states(struct pfctl *p)
{
	struct ng_err err = {0};
	int n = firewall_kill(&p->state, &p->net.filter, &(struct firewall_kill){0}, &err);

	if (n < 0) {
		warn_msg("%s", err.text);
		return 1;
	}
	pfctl_say(p, "%d states cleared\n", n);
	return 0;
}

/* Those of the rules stay, as theirs they are: they are emptied. */
static int flush_tables(struct pfctl *p)
{
	struct kept_tables all autodone(kept_tables_done) = {0};
	struct ng_err err = {0};
	unsigned n = 0;
	int rc = firewall_tables(&p->state, &p->net.filter, &all, &err);

	for (size_t i = 0; i < all.n && rc == 0; i++) {
		struct firewall_change c = {.anchor = all.v[i].anchor,
					    .name = all.v[i].name,
					    .op = all.v[i].own ? TABLE_KILL : TABLE_FLUSH};

		if (all.v[i].constant || !str_eq(all.v[i].anchor, p->anchor))
			continue;
		rc = firewall_table_change(&p->state, &p->net.filter, &c, &err);
		n++;
	}
	if (rc < 0) {
		warn_msg("%s", err.text);
		return 1;
	}
	pfctl_say(p, "%u tables deleted.\n", n);
	return 0;
}

/* The word may be cut short, as pfctl lets it. */
static bool is(const char *word, const char *whole)
{
	return *word && strncasecmp(word, whole, strlen(word)) == 0;
}

static int flush(struct pfctl *p, const char *what)
{
	const unsigned all = PF_PRINT_ALL;

	if (is(what, "rules"))
		return flush_rules(p, all & ~(unsigned)(PF_PRINT_FILTER | PF_PRINT_SCRUB), "rules");
	if (is(what, "nat"))
		return flush_rules(p, all & ~(unsigned)PF_PRINT_NAT, "nat");
	if (is(what, "states"))
		return flush_states(p);
	if (is(what, "Tables"))
		return flush_tables(p);
	if (is(what, "all"))
		return flush_rules(p, 0, "rules") | flush_states(p);
	warn_msg("-F %s: all, nat, rules, states or Tables", what);
	return 1;
}

/* ---- -k ---- */

static bool read_net(const char *text, struct ipnet *out)
{
	if (ipnet_parse(text, out) == 0)
		return true;
	warn_msg("-k %s: an address or a network", text);
	return false;
}

/* -k FROM, -k FROM -k TO, -k label -k LABEL. */
static int kill_states(struct pfctl *p, const struct options *o)
{
	struct firewall_kill k = {0};
	struct ipnet from, to;
	struct ng_err err = {0};

	if (str_eq(o->kill[0], "label")) {
		if (o->kills != 2) {
			warn_msg("-k label: which? -k label -k LABEL");
			return 1;
		}
		k.label = o->kill[1];
	} else {
		if (!read_net(o->kill[0], &from) || (o->kills > 1 && !read_net(o->kill[1], &to)))
			return 1;
		k.from = &from;
		k.to = o->kills > 1 ? &to : NULL;
	}
	int n = firewall_kill(&p->state, &p->net.filter, &k, &err);
	if (n < 0) {
		warn_msg("%s", err.text);
		return 1;
	}
	if (k.label)
		pfctl_say(p, "killed %d states\n", n);
	else
		pfctl_say(p, "killed %d states from 1 sources and %d destinations\n", n,
			  o->kills > 1);
	return 0;
}

/* ---- the command line ---- */

static bool take_option(struct pfctl *p, struct options *o, int opt)
{
	switch (opt) {
	case 'a':
		p->anchor = optarg;
		break;
	case 'D':
		strv_add(&p->define, optarg);
		break;
	case 'd':
		o->disable = true;
		break;
	case 'e':
		o->enable = true;
		break;
	case 'F':
		o->flush = optarg;
		break;
	case 'f':
		o->file = optarg;
		break;
	case 'J':
		p->json = true;
		break;
	case 'n':
		o->no_action = true;
		break;
	case 'o':
		break; /* rules are always optimised */
	case 'q':
		p->quiet = true;
		break;
	case 's':
		o->show = optarg;
		break;
	case 't':
		o->table = optarg;
		break;
	case 'T':
		o->command = optarg;
		break;
	case 'v':
		p->verbose++;
		break;
	case 'k':
		if (o->kills == 2)
			return false;
		o->kill[o->kills++] = optarg;
		break;
	default:
		return false;
	}
	return true;
}

/* Other rules than those that wait to be confirmed, or that may come back. */
static bool changes_rules(const struct options *o)
{
	return o->disable || o->enable || o->flush || (o->file && !o->no_action);
}

/* In pfctl's order: off, then flushing, killing, tables, loading, on, and what is to be shown. */
static int act(struct pfctl *p, const struct options *o, char **rest, int n)
{
	struct confirming change = {
	    .pf = true, .on = firewall_is_on(&p->state, &p->rc), .seconds = o->confirm, .sock = -1};
	int status = 0;

	if (changes_rules(o) && !confirming_free(&p->state))
		return 1;
	if (o->disable)
		status |= switch_pf(p, false);
	if (o->flush)
		status |= flush(p, o->flush);
	if (o->kills)
		status |= kill_states(p, o);
	if (o->command)
		status |= pfctl_table(p, o->table, o->command, rest, n, o->no_action);
	if (o->file)
		status |= load(p, o, &change);
	if (o->enable)
		status |= switch_pf(p, true);
	if (o->show)
		status |= pfctl_show(p, o->show);
	if (change.sock < 0)
		return status;
	forget_made(p);
	return status | confirming_wait(&change);
}

static int pfctl_run(int argc, char **argv)
{
	static const struct option longs[] = {
	    {"json", no_argument, NULL, 'J'}, {"confirm", required_argument, NULL, 'c'}, {0}};
	struct pfctl p autodone(pfctl_done) = {.state = {.dir = -1}, .anchor = ""};
	struct options o = {0};

	for (int opt;
	     (opt = getopt_long(argc, argv, "a:D:deF:f:k:no:qs:t:T:v", longs, NULL)) != -1;)
		if (opt == 'c' && !confirming_seconds(optarg, &o.confirm))
			return 1;
		else if (opt != 'c' && !take_option(&p, &o, opt))
			return usage(&cmd_pfctl);
	if ((o.confirm && !o.file) || (o.table != NULL) != (o.command != NULL) ||
	    (!o.command && optind < argc) ||
	    !(o.disable || o.enable || o.flush || o.file || o.kills || o.command || o.show))
		return usage(&cmd_pfctl);
	return pfctl_open(&p) ? 1 : act(&p, &o, argv + optind, argc - optind);
}

const struct cmd cmd_pfctl = {
    .name = "pfctl",
    .run = pfctl_run,
    .args = "[-deqv] [--json] [-a ANCHOR] [-D MACRO=VALUE] [-F WHAT] [-k HOST] [-s WHAT]\n"
	    "[-enqv] [-a ANCHOR] [-D MACRO=VALUE] [-o LEVEL] [--confirm SECONDS] -f FILE\n"
	    "[-nqv] [-a ANCHOR] -t TABLE -T COMMAND [ADDRESS …]",
    .summary = "loads pf.conf, and shows what pf holds",
    .help = "  -f      load the file; -n: only read it\n"
	    "  -e, -d  switch pf on, off\n"
	    "  -F      flush all, nat, rules, states or Tables\n"
	    "  -s      show nat, rules, states, info, Tables, labels, Anchors or all\n"
	    "  -t, -T  a table: add, delete, replace, show, test, flush, expire or kill\n"
	    "  -k      end the states of a host, from one to another, or of a label\n"
	    "  -a      of this anchor\n"
	    "  -D      a macro of that value, whatever the file says\n"
	    "  -o      taken without effect: rules are always optimised\n"
	    "  -q, -v  say less, more\n"
	    "  --confirm  with -f: go back to what pf held before unless `newgate confirm`, or\n"
	    "          Enter, says in time that the rules may stay\n"
	    "  --json  what -s and -T show, as JSON\n",
    .link = true,
};
