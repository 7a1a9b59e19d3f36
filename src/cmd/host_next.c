/* What is left to do once the mail host runs: DNS, the certificate, a mailbox, and what pf.conf lacks,
 * which is the user's alone to change. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd/check.h"
#include "cmd/cmd.h"
#include "cmd/hosting.h"
#include "conf/files.h"
#include "host/tls.h"

static bool names_newgate(const struct pf_rules *rules)
{
	for (size_t i = 0; i < rules->n; i++)
		if (rules->v[i].action == PF_ANCHOR && pf_is_newgate(rules->v[i].anchor))
			return true;
	return false;
}

/* What jail.conf asks for counts where pf.conf names it. */
static void say_pf(void)
{
	struct rcconf rc autodone(rcconf_done) = {0};
	struct firewall_host host autodone(firewall_host_done) = {0};
	struct pf pf autodone(pf_done) = {0};
	struct diags d autodone(diags_done) = {0};
	autofree char *path = files_path(cmd_root, "/etc/rc.conf");

	/* Faults in them were told when the jails were started. */
	if (rcconf_read(&rc, path, &d) < 0 || !rc.pf_enable ||
	    !check_pf_read(&rc, NULL, &pf, &host, &d) || d.errors)
		return;
	const struct pf_ruleset *all = pf_find_ruleset(&pf, "");
	bool nat = names_newgate(&all->nat), rdr = names_newgate(&all->rdr),
	     filter = names_newgate(&all->filter);
	if (nat && rdr && filter)
		return;
	printf(
	    "\npf is on, and %s leaves out what the jails ask for in jail.conf, so that nobody "
	    "reaches\nthem. It is yours to change. Add, among its translation rules and behind its "
	    "filter rules:\n",
	    rc.pf_rules);
	if (!nat)
		puts("    nat-anchor \"newgate/*\"");
	if (!rdr)
		puts("    rdr-anchor \"newgate/*\"");
	if (!filter)
		puts("    anchor \"newgate/*\"");
	printf("and load it; it goes back by itself unless you say that you still reach the host:\n"
	       "    pfctl -f %s --confirm 60\n",
	       rc.pf_rules);
}

static const char *either(const char *a, const char *b)
{
	return a ? a : b;
}

void hosting_say_next(const struct hosting *g)
{
	const struct host *h = &g->h;
	struct cert cert autodone(cert_done) = {0};
	struct ng_err none = {0};
	autofree char *key = NULL;
	const char *rest;
	size_t i = 0;

	printf("\nThe mail host of %s runs. What is left to do:\n"
	       "    newgate host dns              # the records, for whoever keeps the DNS of %s;\n"
	       "                                  # and %s is to be named %s (PTR)\n",
	       h->domain, h->domain, either(h->address4, h->address6), h->hostname);
	if (tls_read(h, &cert, &none) < 0 || (cert.own && !str_eq(h->acme, "none")))
		puts("    newgate host renew            # the certificate, once these names lead "
		     "here");
	if (!host_next(&g->l, LIST_USERS, &i, &key, &rest))
		printf("    newgate host user add you@%s\n", h->domain);
	puts("    newgate host status           # at any time");
	if (access("/run/systemd/system", F_OK) == 0)
		puts("    systemctl enable newgate      # jails start with the host");
	else if (!str_eq(h->acme, "none"))
		puts("    newgate host renew            # twice a day, by cron: the next "
		     "certificates");
	printf("Web mail: https://%s/\n", h->hostname);
	say_pf();
}
