/* How the host handles packets. */
#include <glob.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "base/mem.h"
#include "doctor/check.h"
#include "net/range.h"

/* ---- forwarding ---- */

const char *sysctl_value(char *text, const char *key)
{
	const char *value = NULL;
	for (char *line; (line = strsep(&text, "\n"));) {
		line += strspn(line, " \t-");
		char *eq = strchr(line, '=');
		if (!eq || *line == '#' || *line == ';')
			continue;
		size_t n = (size_t)(eq - line);
		while (n && (line[n - 1] == ' ' || line[n - 1] == '\t'))
			n--;
		/* "net/ipv4/ip_forward" is the same. */
		for (size_t i = 0; i < n; i++)
			if (line[i] == '/')
				line[i] = '.';
		if (strlen(key) != n || strncmp(line, key, n) != 0)
			continue;
		char *v = eq + 1 + strspn(eq + 1, " \t");
		v[strcspn(v, " \t\r")] = '\0';
		value = v;
	}
	return value;
}

/* The file that has the last word about it when all are read, as at boot; the caller frees. */
static char *sysctl_file(const struct doctor *d, const char *key, char *value, size_t size)
{
	static const char *const places[] = {"/usr/lib/sysctl.d/*.conf", "/run/sysctl.d/*.conf",
					     "/etc/sysctl.d/*.conf", "/etc/sysctl.conf"};
	char *last = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		struct str pattern autodone(str_done) = {0};
		glob_t found_ = {0};
		str_addf(&pattern, "%s%s", d->root, places[i]);
		int rc = glob(pattern.s, 0, NULL, &found_);
		for (size_t k = 0; rc == 0 && k < found_.gl_pathc; k++) {
			autofree char *text = NULL;
			size_t len;
			const char *v = file_read(found_.gl_pathv[k], &text, &len) == 0
					    ? sysctl_value(text, key)
					    : NULL;
			if (!v)
				continue;
			snprintf(value, size, "%s", v);
			free(last);
			last = mem_strdup(found_.gl_pathv[k]);
		}
		globfree(&found_);
	}
	return last;
}

static void check_forwarding_of(struct doctor *d, int family, const char *knob, const char *key)
{
	char now[16] = "", boot[16] = "";
	bool off = proc_read(d, knob, now, sizeof now) && str_eq(now, "0");
	struct finding *f;
	if (off && d->gather->running) {
		f = found(d, DOCTOR_HINDERS, "forwarding is off, though jails run: %s=0", key);
		because(f, "newgate switched it on when the first of them started; without it "
			   "nothing reaches a jail, and a jail reaches nothing");
		mend(f, "sysctl -w %s=1", key);
	}
	autofree char *file = sysctl_file(d, key, boot, sizeof boot);
	if (!file || !str_eq(boot, "0") || !has_family(d, family))
		return;
	f = found(d, DOCTOR_ADVICE, "%s switches forwarding off: %s=0", file, key);
	because(f, "newgate switches it on with the first jail, but the next `sysctl --system` "
		   "takes the network from all of them");
	mend(f, "sed -i 's|^.*%s *=.*|%s=1|' %s", key, key, file);
}

void check_forwarding(struct doctor *d)
{
	check_forwarding_of(d, AF_INET, "sys/net/ipv4/ip_forward", "net.ipv4.ip_forward");
	if (has_family(d, AF_INET6))
		check_forwarding_of(d, AF_INET6, "sys/net/ipv6/conf/all/forwarding",
				    "net.ipv6.conf.all.forwarding");
}

/* ---- reverse path ---- */

static bool is_strict(const struct doctor *d, const char *ifname)
{
	char path[64];
	uint64_t all = 0, own = 0;
	snprintf(path, sizeof path, "sys/net/ipv4/conf/%s/rp_filter", ifname);
	if (!proc_number(d, "sys/net/ipv4/conf/all/rp_filter", &all) || !proc_number(d, path, &own))
		return false;
	return (own > all ? own : all) == 1;
}

/* What comes in on another interface than the one by which answers leave is dropped there. */
void check_reverse_path(struct doctor *d)
{
	const struct net_host *h = d->gather->net.host;
	struct rtnl_link outside;
	char ifname[IFNAMSIZ];

	if (!net_outside(&d->gather->net, AF_INET, &outside))
		return;
	for (size_t i = 0; i < h->naddrs; i++) {
		const struct host_address *a = &h->addr[i];
		if (a->net.addr.family != AF_INET || ip_is_private(&a->net.addr) ||
		    a->index == outside.index || !if_indextoname((unsigned)a->index, ifname) ||
		    !is_strict(d, ifname))
			continue;
		char text[IP_TEXT];
		struct finding *f =
		    found(d, DOCTOR_ADVICE, "%s drops what comes from the internet to %s", ifname,
			  ip_text(&a->net.addr, text));
		because(f,
			"its reverse-path filter is strict (rp_filter 1), and the way back to "
			"the internet is %s: redirects and nat.source by this address do not "
			"work",
			outside.name);
		mend(f, "sysctl -w net.ipv4.conf.%s.rp_filter=2", ifname);
		mend(f, "echo net.ipv4.conf.%s.rp_filter=2 >>/etc/sysctl.d/99-newgate.conf",
		     ifname);
	}
}

/* ---- packet sizes ---- */

struct mtus {
	const struct gather *gather;
	uint32_t outside;
	struct strv differ; /* "web (ng1)" */
};

static int compare_mtu(const struct rtnl_link *l, void *arg)
{
	struct mtus *m = arg;
	for (size_t i = 0; l->mtu != m->outside && i < m->gather->nrecs; i++)
		if (m->gather->rec[i].link && str_eq(m->gather->rec[i].link, l->name))
			strv_addf(&m->differ, "%s (%s)", m->gather->rec[i].name, l->name);
	return 0;
}

void check_mtu(struct doctor *d)
{
	struct rtnl_link outside;
	struct ng_err err = {0};
	struct finding *f;
	if (!net_outside(&d->gather->net, AF_INET, &outside) &&
	    !net_outside(&d->gather->net, AF_INET6, &outside))
		return;
	struct mtus m = {d->gather, outside.mtu, {0}};
	if (rtnl_each_link(&d->gather->net.route, compare_mtu, &m, &err) < 0)
		not_examined(d, &err);
	if (m.differ.n) {
		f = found(d, DOCTOR_ADVICE, "%s%s%s another packet size than %s (%u)",
			  m.differ.v[0], m.differ.n > 1 ? " and others" : "",
			  m.differ.n > 1 ? " have" : " has", outside.name, outside.mtu);
		because(f, "it was changed since they started; larger packets have to be cut, or "
			   "get lost where somebody drops the news about it");
		for (size_t i = 0; i < m.differ.n && i < 8; i++)
			mend(f, "jail -rc %.*s", (int)strcspn(m.differ.v[i], " "), m.differ.v[i]);
	}
	if (outside.mtu < 1280 && has_family(d, AF_INET6)) {
		f = found(d, DOCTOR_HINDERS, "%s takes packets of %u bytes", outside.name,
			  outside.mtu);
		because(f, "IPv6 needs 1280, and is switched off below");
		mend(f, "ip link set %s mtu 1280", outside.name);
	}
	strv_done(&m.differ);
}

/* ---- neighbours ---- */

/* Two entries a jail and family: the host's for the jail's address, the jail's for its gateway.
 * One table serves all namespaces. */
void check_neighbours(struct doctor *d)
{
	static const struct {
		int family;
		const char *name;
	} tables[] = {{AF_INET, "ipv4"}, {AF_INET6, "ipv6"}};

	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		char path[64];
		uint64_t most;
		size_t need = 2 * d->gather->n;
		snprintf(path, sizeof path, "sys/net/%s/neigh/default/gc_thresh3", tables[i].name);
		if (!has_family(d, tables[i].family) || !proc_number(d, path, &most) ||
		    need + 256 <= most)
			continue;
		uint64_t fine = 4096;
		while (fine < 2 * need + 1024)
			fine *= 2;
		struct finding *f =
		    found(d, need >= most ? DOCTOR_HINDERS : DOCTOR_ADVICE,
			  "the table of %s neighbours holds %llu, and %zu jails fill up to %zu",
			  tables[i].name, (unsigned long long)most, d->gather->n, need);
		because(f, "beyond, connections fail at random, of jails and of the host "
			   "(\"neighbour: table overflow\" in the kernel's log)");
		for (int k = 1; k <= 3; k++)
			mend(f, "sysctl -w net.%s.neigh.default.gc_thresh%d=%llu", tables[i].name,
			     k, (unsigned long long)(fine >> (3 - k)));
		mend(f,
		     "the same three lines without \"sysctl -w\" in /etc/sysctl.d/99-newgate.conf "
		     "keep it");
	}
}

/* ---- name servers ---- */

void check_resolver(struct doctor *d)
{
	struct strv servers autodone(strv_done) = {0};
	struct net *n = &d->gather->net;
	struct finding *f;

	net_servers(d->gather->state, &servers);
	if (!servers.n) {
		f = found(d, DOCTOR_HINDERS,
			  "jails have no name server: the host's resolv.conf "
			  "names only a stub on its own loopback");
		because(f, "a jail's loopback is its own, so that it cannot ask there, and no "
			   "service says whom it asks itself");
		mend(f, "echo nameserver 9.9.9.9 >>/etc/resolv.conf");
	}
	for (size_t i = 0; i < servers.n; i++) {
		struct ip ip;
		if (ip_parse(servers.v[i], &ip) < 0 || !range_host_has(n, &ip))
			continue;
		f = found(d, DOCTOR_ADVICE, "the name server %s is this host itself", servers.v[i]);
		because(f, "a jail may ask the host for nothing unless it is allowed to, so that "
			   "names are not found in it");
		mend(f, "# in jail.conf: allow.connect = internet, \"host udp 53 tcp 53\";");
	}
}
