/* Other firewalls of this host. */
#include <string.h>
#include "base/file.h"
#include "base/mem.h"
#include "conf/files.h"
#include "conf/value.h"
#include "doctor/check.h"
#include "net/foreign.h"
#include "net/range.h"

/* A link that is a jail's, and that no rule is about by its name. */
#define SOME_JAIL "ng999999"
#define ANOTHER_JAIL "ng999998"

/* ---- what has to pass ---- */

struct traffic {
	const char *what, *hook;
	bool wanted;
	struct foreign_packet packet;
};

enum { TO_INTERNET, FROM_INTERNET, TO_JAIL, TO_HOST, KINDS };

/* What the configuration asks for besides the internet. */
static void wanted(const struct doctor *d, bool want[KINDS])
{
	struct arena a autodone(arena_done) = {0};
	for (size_t i = 0; i < d->gather->n; i++) {
		const struct gather_jail *j = &d->gather->jail[i];
		size_t n;
		if (!j->block)
			continue;
		conf_list(&j->conf, P_RDR, &n);
		want[FROM_INTERNET] |= n > 0;
		const struct conf_value *v = conf_list(&j->conf, P_ALLOW_CONNECT, &n);
		for (size_t k = 0; k < n; k++) {
			struct conf_connect c;
			const char *why;
			if (value_connect(&a, v[k].text, &c, &why) < 0)
				continue;
			want[TO_JAIL] |= c.peer == CONNECT_JAIL;
			want[TO_HOST] |= c.peer == CONNECT_HOST;
		}
	}
}

/* An address that jails have, of that family: any will do to judge rules about networks. */
static struct ip jail_address(const struct doctor *d, int family)
{
	const struct net *n = &d->gather->net;
	for (size_t i = 0; i < d->gather->n; i++)
		for (size_t k = 0; k < d->gather->jail[i].net.naddrs; k++)
			if (d->gather->jail[i].net.addr[k].ip.family == family)
				return d->gather->jail[i].net.addr[k].ip;
	for (size_t i = 0; i < n->nranges; i++)
		for (size_t k = 0; k < n->range[i]->ngws; k++)
			if (n->range[i]->gw[k].addr.family == family)
				return ip_next(&n->range[i]->gw[k].addr);
	return (struct ip){0};
}

static void make_traffic(struct doctor *d, int family, const char *outside, struct traffic t[KINDS])
{
	bool want[KINDS] = {[TO_INTERNET] = true};
	struct ip jail = jail_address(d, family);
	struct foreign_packet out = {.family = family,
				     .iif = SOME_JAIL,
				     .oif = outside,
				     .from_jail = true,
				     .saddr = jail,
				     .proto = 6,
				     .dport = 443};
	struct foreign_packet in = {.family = family,
				    .iif = outside,
				    .oif = SOME_JAIL,
				    .to_jail = true,
				    .daddr = jail,
				    .proto = 6,
				    .dnat = true};
	wanted(d, want);
	t[TO_INTERNET] =
	    (struct traffic){"jails send to the internet", "forward", want[TO_INTERNET], out};
	t[FROM_INTERNET] =
	    (struct traffic){"rdr leads to jails", "forward", want[FROM_INTERNET], in};
	out.oif = ANOTHER_JAIL;
	out.to_jail = true;
	out.dport = 0;
	t[TO_JAIL] = (struct traffic){"jails send to jails", "forward", want[TO_JAIL], out};
	out.oif = NULL;
	out.to_jail = false;
	t[TO_HOST] = (struct traffic){"jails send to the host", "input", want[TO_HOST], out};
}

/* ---- what would let it pass ---- */

static const char *owner_text(enum foreign_owner o)
{
	static const char *const text[] = {[OWNER_OTHER] = "",
					   [OWNER_UFW] = " (ufw's)",
					   [OWNER_FIREWALLD] = " (firewalld's)",
					   [OWNER_DOCKER] = " (Docker's)"};
	return text[o];
}

static void judge(struct doctor *d, const struct foreign *all, size_t i,
		  const struct traffic t[KINDS])
{
	struct str what autodone(str_done) = {0};
	struct foreign_answer a, first = {0};
	bool in = false, out = false, sure = false;
	const struct foreign_chain *c = all->chain[i];

	for (size_t k = 0; k < KINDS; k++) {
		if (!t[k].wanted)
			continue;
		foreign_judge(all, i, t[k].hook, &t[k].packet, &a);
		if (a.verdict == FOREIGN_PASS)
			continue;
		str_addf(&what, "%s%s", what.len ? ", and what " : "what ", t[k].what);
		in |= t[k].packet.from_jail;
		out |= t[k].packet.to_jail && !t[k].packet.from_jail;
		sure |= a.verdict == FOREIGN_DROP;
		if (!first.base)
			first = a;
	}
	if (!what.len)
		return;
	struct finding *f =
	    found(d, sure ? DOCTOR_HINDERS : DOCTOR_ADVICE, "chain %s of table %s %s%s%s %s %s",
		  c->name, c->family, c->table, c->legacy ? " of the old iptables" : "",
		  owner_text(c->owner), sure ? "drops" : "may drop", what.s);
	if (first.rule)
		because(
		    f,
		    "a packet has to pass every table, and newgate's cannot overrule another's; "
		    "it is dropped by the rule %s%s%s",
		    first.rule, first.in != c ? " of chain " : "",
		    first.in != c ? first.in->name : "");
	else
		because(
		    f, "a packet has to pass every table, and newgate's cannot overrule another's; "
		       "the chain's policy is to drop");
	foreign_fix(c, in, out, &f->fix);
}

void check_filter(struct doctor *d)
{
	struct foreign all autodone(foreign_done) = {0};
	struct ng_err err = {0};
	static const int families[] = {AF_INET, AF_INET6};

	if (foreign_read(&all, &err) < 0)
		not_examined(d, &err);
	for (size_t f = 0; f < ARRAY_SIZE(families); f++) {
		struct traffic t[KINDS];
		struct rtnl_link outside;
		bool known = net_outside(&d->gather->net, families[f], &outside);
		/* Without any jail yet: what the first one will meet. */
		if (families[f] == AF_INET6 && !has_family(d, AF_INET6))
			continue;
		make_traffic(d, families[f], known ? outside.name : NULL, t);
		for (size_t i = 0; i < all.n; i++)
			/* One that is for both families was told with the first. */
			if (f == 0 || str_eq(all.chain[i]->family, "ip6"))
				judge(d, &all, i, t);
	}
}

/* ---- flush ---- */

void check_flush(struct doctor *d)
{
	autofree char *path = files_path(d->root, "/etc/nftables.conf"), *text = NULL;
	size_t len;
	if (file_read(path, &text, &len) < 0)
		return;
	char *rest = text;
	for (char *line; (line = strsep(&rest, "\n"));) {
		line += strspn(line, " \t");
		if (!str_prefix(line, "flush ruleset"))
			continue;
		struct finding *f = found(d, DOCTOR_ADVICE, "%s flushes every table", path);
		because(f,
			"each start or reload of nftables.service takes newgate's table too, and "
			"with it redirects, permissions and the way out of all jails");
		mend(f,
		     "# name its own tables there instead: \"table inet filter; flush table inet "
		     "filter\"");
		mend(f, "newgate up");
		return;
	}
}
