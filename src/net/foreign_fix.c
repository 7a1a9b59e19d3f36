/* What would let jails' packets pass, in the words of whoever owns the chain. */
#include "net/foreign.h"
#include "sys/rtnl.h"

static void fix_iptables(const struct foreign_chain *c, const char *chain, bool in, bool out,
			 struct strv *lines)
{
	bool six = str_eq(c->family, "ip6");
	const char *program = c->legacy ? (six ? "ip6tables-legacy" : "iptables-legacy")
					: (six ? "ip6tables" : "iptables");
	if (in)
		strv_addf(lines, "%s -I %s -i ng+ -j ACCEPT", program, chain);
	if (out)
		strv_addf(lines, "%s -I %s -o ng+ -j ACCEPT", program, chain);
}

static void fix_nft(const struct foreign_chain *c, bool in, bool out, struct strv *lines)
{
	if (in)
		strv_addf(lines, "nft insert rule %s %s %s iifgroup %d accept", c->family, c->table,
			  c->name, RTNL_GROUP);
	if (out)
		strv_addf(lines, "nft insert rule %s %s %s oifgroup %d accept", c->family, c->table,
			  c->name, RTNL_GROUP);
	strv_addf(lines, "# and in /etc/nftables.conf, at the top of that chain:%s%s",
		  in ? " iifgroup 28263 accept;" : "", out ? " oifgroup 28263 accept;" : "");
}

void foreign_fix(const struct foreign_chain *c, bool in, bool out, struct strv *lines)
{
	bool input = str_eq(c->hook, "input");
	if (c->owner == OWNER_UFW) {
		if (in)
			strv_add(lines,
				 input ? "ufw allow in on ng+" : "ufw route allow in on ng+");
		if (out)
			strv_add(lines, "ufw route allow out on ng+");
	} else if (c->owner == OWNER_FIREWALLD) {
		strv_add(lines, "firewall-cmd --permanent --zone=trusted --add-interface=ng+");
		strv_add(lines, "firewall-cmd --reload");
	} else if (c->owner == OWNER_DOCKER && !input) {
		fix_iptables(c, "DOCKER-USER", in, out, lines);
		strv_add(lines, "# the same after every boot, once docker.service is up");
	} else if (c->save) {
		fix_iptables(c, c->name, in, out, lines);
		strv_add(lines, "netfilter-persistent save");
	} else {
		fix_nft(c, in, out, lines);
	}
}
