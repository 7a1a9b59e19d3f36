/* newgate host init: everything for one domain, from nothing to four running jails. What was done
 * before a failure or a kill stays, and the next call goes on from there. */
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/configured.h"
#include "cmd/hosting.h"
#include "cmd/init.h"
#include "cmd/progress.h"
#include "cmd/trial.h"
#include "conf/files.h"
#include "host/dkim.h"
#include "host/tls.h"
#include "host/trees.h"
#include "net/range.h"
#include "sys/rtnl.h"

struct options {
	const char *domain, *hostname, *spam, *acme, *ca, *contact;
	struct ip address[2]; /* by family; 0: not said */
};

/* What it is doing, and when it began to: some steps take a minute. */
static void step(const char *fmt, ...) PRINTF(1, 2);

static void step(const char *fmt, ...)
{
	static struct timespec began;
	struct timespec now;
	va_list ap;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (!began.tv_sec)
		began = now;
	double s =
	    (double)(now.tv_sec - began.tv_sec) + (double)(now.tv_nsec - began.tv_nsec) / 1e9;
	printf("%6.1f s  ", s);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

static void set(char **where, const char *value)
{
	if (!value)
		return;
	free(*where);
	*where = mem_strdup(value);
}

/* ---- the settings ---- */

/* The address with which the host is reached: the first one of the interface that leads outside. */
static char *outside_address(struct net *n, int family)
{
	struct rtnl_link outside;
	char text[IP_TEXT];

	if (!net_outside(n, family, &outside))
		return NULL;
	for (size_t i = 0; i < n->host->naddrs; i++) {
		const struct host_address *a = &n->host->addr[i];

		if (a->index == outside.index && a->net.addr.family == family &&
		    !(family == AF_INET6 && a->net.addr.bytes[0] == 0xfe))
			return mem_strdup(ip_text(&a->net.addr, text));
	}
	return NULL;
}

static int look_outside(struct hosting *g, const struct rcconf *rc, const struct options *o,
			struct ng_err *err)
{
	struct net n = {0};
	char text[IP_TEXT];
	int r = net_open(&n, &g->state, rc, err);

	if (r < 0)
		return r;
	char **to[] = {&g->h.address4, &g->h.address6};
	for (size_t i = 0; i < 2; i++) {
		if (o->address[i].family)
			set(to[i], ip_text(&o->address[i], text));
		else if (!*to[i])
			*to[i] = outside_address(&n, i ? AF_INET6 : AF_INET);
	}
	net_done(&n);
	if (!g->h.address4 && !g->h.address6)
		return err_set(
		    err, ENETUNREACH,
		    "this host has no route to the internet yet, so that its address is not "
		    "known: --address ADDRESS");
	return 0;
}

/* jails need a range: without one, `newgate init` finds it. */
static int need_range(struct rcconf *rc)
{
	struct diags d = {0};
	autofree char *path = files_path(cmd_root, "/etc/rc.conf");

	for (int once = 0; once < 2; once++) {
		rcconf_done(rc);
		*rc = (struct rcconf){0};
		int r = rcconf_read(rc, path, &d);
		bool good = tell_diags(&d, true) && r == 0;

		diags_done(&d);
		d = (struct diags){0};
		if (!good)
			return 1;
		for (size_t i = 0; i < rc->ninterfaces; i++)
			if (rc->interface[i].cloned && rc->interface[i].naddrs)
				return 0;
		if (once || init_first_files())
			break;
	}
	warn_msg("rc.conf names no interface for jails: newgate init");
	return 1;
}

int hosting_range(char **interface)
{
	struct rcconf rc autodone(rcconf_done) = {0};
	const char *first = NULL;

	if (need_range(&rc))
		return 1;
	for (size_t i = 0; i < rc.ninterfaces; i++) {
		if (!rc.interface[i].cloned || !rc.interface[i].naddrs)
			continue;
		if (*interface && str_eq(*interface, rc.interface[i].name))
			return 0;
		first = first ? first : rc.interface[i].name;
	}
	set(interface, first);
	return 0;
}

static int settings(struct hosting *g, const struct options *o)
{
	struct rcconf rc autodone(rcconf_done) = {0};
	struct ng_err err = {0}, none = {0};
	int r = host_settings_read(&g->h, cmd_root, &none);

	if (r < 0 && r != -ENOENT) {
		warn_msg("%s", none.text);
		return 1;
	}
	if (r == 0 && !str_eq(g->h.domain, o->domain)) {
		warn_msg("this host is set up for %s: newgate host domain add %s", g->h.domain,
			 o->domain);
		return 1;
	}
	set(&g->h.root, cmd_root);
	if (o->ca && tls_take_ca(&g->h, o->ca, &err) < 0) {
		warn_msg("%s", err.text);
		return 1;
	}
	if (need_range(&rc))
		return 1;
	struct str name autodone(str_done) = {0};
	str_addf(&name, "mail.%s", o->domain);
	set(&g->h.domain, o->domain);
	set(&g->h.hostname, o->hostname ? o->hostname : g->h.hostname ? NULL : name.s);
	set(&g->h.spam, o->spam);
	set(&g->h.acme, o->acme);
	set(&g->h.contact, o->contact);
	for (size_t i = 0; i < rc.ninterfaces && !g->h.interface; i++)
		if (rc.interface[i].cloned && rc.interface[i].naddrs)
			set(&g->h.interface, rc.interface[i].name);
	r = state_open(&g->state, cmd_root, &err);
	if (r == 0)
		r = look_outside(g, &rc, o, &err);
	if (r == 0)
		r = host_settings_write(&g->h, &err);
	if (r < 0)
		warn_msg("%s", err.text);
	host_settings_done(&g->h);
	state_done(&g->state);
	g->state = (struct state){.dir = -1};
	return r < 0;
}

/* ---- the steps ---- */

static int lists(struct hosting *g)
{
	struct ng_err err = {0};
	autofree char *log = host_path(&g->h, "/var/log");

	step("settings, keys and files in " HOST_ETC);
	int rc = file_mkdirs(log, 0755);
	if (rc < 0)
		err_sys(&err, rc, "%s", log);
	else
		rc = dkim_make_key(&g->h, g->h.domain, &err);
	host_set(&g->l, LIST_DOMAINS, g->h.domain, g->h.domain);
	for (enum host_list i = 0; i < LIST_COUNT && rc == 0; i++)
		rc = host_lists_write(&g->h, &g->l, i, &err);
	if (rc == 0)
		rc = tls_make_own(&g->h, &err);
	if (rc < 0)
		warn_msg("%s", err.text);
	return rc < 0;
}

static int make_tree(struct hosting *g, struct store *s, const char *jail, struct ng_err *err)
{
	struct str template autodone(str_done) = {0}, packages autodone(str_done) = {0};

	str_addf(&template, "host-%s", jail);
	str_addf(&packages, "%s-packages", template.s);
	if (!store_has_template(s, template.s))
		step("template %s%s", template.s,
		     store_has_template(s, packages.s)
			 ? ""
			 : ": packages from Debian's mirror, which takes a minute");
	else if (!store_has_jail(s, jail))
		step("jail %s: a tree of template %s", jail, template.s);
	return trees_make(&g->h, s, jail, trial_run, err);
}

/* The templates and the jails' trees. */
int hosting_trees(struct hosting *g)
{
	const char *const *jail = host_jails(&g->h);
	struct store s autodone(store_done) = {0};
	struct ng_err err = {0};
	int rc = store_open(&s, cmd_root, &err);

	progress_attach(&s);
	for (; *jail && rc == 0; jail++)
		rc = make_tree(g, &s, *jail, &err);
	if (rc == 0 && !str_eq(g->h.acme, "none"))
		rc = make_tree(g, &s, "acme", &err);
	progress_end();
	if (rc < 0)
		warn_msg("%s", err.text);
	return rc < 0;
}

int hosting_start(struct hosting *g)
{
	const char *other = host_other_signer(&g->h);
	char *argv[8] = {(char *)"up"};
	int argc = 1;

	for (const char *const *jail = host_jails(&g->h); *jail; jail++)
		argv[argc++] = (char *)*jail;
	if (inside_runs(&g->state, other))
		argv[argc++] = (char *)other;
	argv[argc] = NULL;
	optind = 0;
	step("starting the jails");
	int status = cmd_up.run(argc, argv);
	if (status == 0)
		step("they run");
	return status;
}

int hosting_run(struct hosting *g)
{
	if (hosting_show_cert(g) || hosting_start(g))
		return 1;
	/* The renewal takes the lock where it needs it. Until there is a certificate, the host's own
	 * does: what is missing is told, and the timer tries again. */
	close(take_fd(&g->lock));
	renew_timer();
	(void)hosting_renew(g, false);
	return 0;
}

static int init_with(const struct options *o)
{
	struct hosting g autodone(hosting_done) = HOSTING_NONE;

	if (settings(&g, o) || hosting_open(&g, true) || lists(&g) || hosting_files(&g) ||
	    hosting_trees(&g))
		return 1;
	if (hosting_run(&g))
		return 1;
	hosting_say_next(&g);
	return 0;
}

static bool read_address(const char *text, struct options *o)
{
	struct ip ip;

	if (ip_parse(text, &ip) == 0) {
		o->address[ip.family == AF_INET6] = ip;
		return true;
	}
	warn_msg("--address %s is not an address", text);
	return false;
}

int host_init(int argc, char **argv)
{
	static const struct option longs[] = {{"hostname", required_argument, NULL, 'h'},
					      {"address", required_argument, NULL, 'a'},
					      {"spam", required_argument, NULL, 's'},
					      {"acme", required_argument, NULL, 'u'},
					      {"ca", required_argument, NULL, 'r'},
					      {"contact", required_argument, NULL, 'c'},
					      {0}};
	struct options o = {0};
	const char *why = NULL;
	autofree char *hostname = NULL;

	for (int opt; (opt = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
		if (opt == 'h' && !(hostname = host_domain(optarg, &why))) {
			warn_msg("--hostname \"%s\" %s", optarg, why);
			return 1;
		}
		if (opt == 'a' && !read_address(optarg, &o))
			return 1;
		if (opt == 's' && !str_eq(optarg, "rspamd") && !str_eq(optarg, "opendkim")) {
			warn_msg("--spam %s: opendkim or rspamd", optarg);
			return 1;
		}
		if (opt == 'u' && !str_prefix(optarg, "https://") && !str_eq(optarg, "none")) {
			warn_msg("--acme %s: an address that begins with https://, or none",
				 optarg);
			return 1;
		}
		if (!strchr("hasurc", opt))
			return host_usage();
		o.spam = opt == 's' ? optarg : o.spam;
		o.acme = opt == 'u' ? optarg : o.acme;
		o.ca = opt == 'r' ? optarg : o.ca;
		o.contact = opt == 'c' ? optarg : o.contact;
	}
	if (optind + 1 != argc)
		return host_usage();
	autofree char *domain = host_domain(argv[optind], &why);
	if (!domain) {
		warn_msg("\"%s\" %s", argv[optind], why);
		return 1;
	}
	o.domain = domain;
	o.hostname = hostname;
	return init_with(&o);
}
