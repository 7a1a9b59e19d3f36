/* pfctl -s without a pf.conf: the built-in policy of the jails there are, as the ruleset that it is. */
#include <stdio.h>
#include "cmd/cmd.h"
#include "cmd/configured.h"
#include "cmd/pfctl.h"
#include "explain/policy.h"
#include "explain/view.h"
#include "net/range.h"

/* "IF ADDR/LEN" of each gateway. */
static void list_jails(const struct net *n, struct strv *out)
{
	char text[IPNET_TEXT];

	for (size_t i = 0; i < n->nranges; i++)
		for (size_t k = 0; k < n->range[i]->ngws && n->range[i]->ours; k++)
			strv_addf(out, "%s %s", n->range[i]->ifname,
				  ipnet_text(&n->range[i]->gw[k], text));
}

static int read_text(struct pfctl *p, struct gather *g, struct ng_err *err)
{
	struct explain_world w = {0};
	struct strv jails autodone(strv_done) = {0};
	struct str text autodone(str_done) = {0};
	struct diags d autodone(diags_done) = {0};
	const struct pf_reader reader = {.host = &p->f.host.host};

	list_jails(&g->net, &jails);
	int rc = firewall_host_read(&p->f.host, &p->net.route, &jails, err);
	if (rc < 0)
		return rc;
	explain_view(&w, g);
	explain_policy(&text, &w, &p->f.host.host);
	explain_world_done(&w);
	pf_read(&p->f.pf, &reader, "built-in", str_text(&text), text.len, &d);
	pf_finish(&p->f.pf, &reader, &d);
	return tell_diags(&d, false) ? 0 : err_set(err, EINVAL, "the built-in policy");
}

int pfctl_policy(struct pfctl *p)
{
	struct configured c autodone(configured_done) = {0};
	struct gather g autodone(gather_done) = {0};
	struct ng_err err = {0};

	if (configured_open(&c))
		return 1;
	p->f = (struct firewall){.lock = -1};
	p->made = p->built_in = true;
	int rc = gather(&g, &c.state, &c.conf, &c.rc, &err);
	if (rc == 0)
		rc = read_text(p, &g, &err);
	if (rc < 0)
		warn_msg("%s", err.text);
	return rc < 0;
}
