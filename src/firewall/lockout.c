#include "firewall/lockout.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include "base/file.h"
#include "base/mem.h"
#include "firewall/firewall.h"
#include "pf/eval.h"
#include "sys/ct.h"
#include "sys/fd.h"
#include "sys/rtnl.h"

#define SSH_PORT 22

/* ---- sockets ---- */

/* Addresses are printed as the machine's own 32-bit numbers. */
static void hex_address(const char *s, int family, struct ip *out)
{
	*out = (struct ip){.family = family};
	for (unsigned i = 0; i < (family == AF_INET ? 1 : 4); i++) {
		char word[9] = "";
		memcpy(word, s + 8 * i, 8);
		uint32_t v = (uint32_t)strtoul(word, NULL, 16);
		memcpy(out->bytes + 4 * i, &v, sizeof(v));
	}
	/* An IPv4 peer of a socket at "::". */
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	if (family == AF_INET6 && memcmp(out->bytes, mapped, sizeof(mapped)) == 0) {
		struct ip four = {.family = AF_INET};
		memcpy(four.bytes, out->bytes + 12, 4);
		*out = four;
	}
}

bool lockout_parse(const char *line, int family, struct lockout_socket *out)
{
	enum { ESTABLISHED = 1, LISTEN = 10 };
	char local[40], remote[40];
	unsigned state, port, remote_port;
	size_t len = family == AF_INET ? 8 : 32;
	uint64_t inode;

	if (sscanf(line,
		   " %*u: %32[0-9A-Fa-f]:%x %32[0-9A-Fa-f]:%x %x %*s %*s %*s %*u %*u %" SCNu64,
		   local, &port, remote, &remote_port, &state, &inode) != 6 ||
	    strlen(local) != len || strlen(remote) != len || port > UINT16_MAX ||
	    remote_port > UINT16_MAX || (state != ESTABLISHED && state != LISTEN))
		return false;
	*out = (struct lockout_socket){.port = (uint16_t)port,
				       .remote_port = (uint16_t)remote_port,
				       .listens = state == LISTEN,
				       .inode = inode};
	hex_address(local, family, &out->local);
	hex_address(remote, family, &out->remote);
	return true;
}

struct sockets {
	struct lockout_socket *v;
	size_t n;
};

static void read_sockets(const char *path, int family, struct sockets *out)
{
	autofree char *text = NULL;
	size_t len;

	if (file_read(path, &text, &len) < 0)
		return; /* a kernel without IPv6 */
	char *rest = text;
	for (char *line; (line = strsep(&rest, "\n"));) {
		struct lockout_socket s;

		if (!lockout_parse(line, family, &s))
			continue;
		out->v = mem_grow(out->v, out->n, sizeof(*out->v));
		out->v[out->n++] = s;
	}
}

/* ---- sshd ---- */

struct inodes {
	uint64_t *v;
	size_t n;
};

static void add_sockets_of(const char *pid, struct inodes *out)
{
	char path[64], link[64];

	snprintf(path, sizeof(path), "/proc/%.16s/fd", pid);
	DIR *d = opendir(path);
	if (!d)
		return;
	for (struct dirent *e; (e = readdir(d));) {
		uint64_t inode;
		ssize_t n = readlinkat(dirfd(d), e->d_name, link, sizeof(link) - 1);

		link[n > 0 ? n : 0] = '\0';
		if (sscanf(link, "socket:[%" SCNu64 "]", &inode) != 1)
			continue;
		out->v = mem_grow(out->v, out->n, sizeof(*out->v));
		out->v[out->n++] = inode;
	}
	closedir(d);
}

static bool is_sshd(const char *pid)
{
	char path[64], name[32];

	snprintf(path, sizeof(path), "/proc/%.16s/comm", pid);
	return fd_get(AT_FDCWD, path, name, sizeof(name)) > 0 &&
	       (str_prefix(name, "sshd") || str_prefix(name, "dropbear"));
}

static void read_sshd(struct inodes *out)
{
	DIR *d = opendir("/proc");

	if (!d)
		return;
	for (struct dirent *e; (e = readdir(d));)
		if (e->d_name[0] >= '1' && e->d_name[0] <= '9' && is_sshd(e->d_name))
			add_sockets_of(e->d_name, out);
	closedir(d);
}

static bool has_inode(const struct inodes *v, uint64_t inode)
{
	for (size_t i = 0; i < v->n; i++)
		if (v->v[i] == inode)
			return true;
	return false;
}

/* Those of sshd; and at its port those of whoever listens in its stead. */
static void keep_ssh(struct sockets *s)
{
	struct inodes sshd = {0};
	size_t n = 0;

	read_sshd(&sshd);
	for (size_t i = 0; i < s->n; i++)
		if (has_inode(&sshd, s->v[i].inode) ||
		    (s->v[i].listens && s->v[i].port == SSH_PORT))
			s->v[n++] = s->v[i];
	s->n = n;
	free(sshd.v);
}

/* ---- judging ---- */

struct judge {
	const struct pf *pf;
	const struct pf_host *host;
	struct nl *route, *filter;
	bool on;
	struct diags *out;
};

static const struct pf_iface *route_to(void *arg, const struct ip *to)
{
	struct judge *j = arg;
	struct rtnl_route r;
	struct ng_err none = {0};

	if (rtnl_lookup(j->route, to, &r, &none) < 0)
		return NULL;
	for (size_t i = 0; i < j->host->n; i++)
		if (j->host->iface[i].index == (unsigned)r.index)
			return &j->host->iface[i];
	return NULL;
}

/* The packet, and the answer to it. The rule that blocks either, in *by. */
static bool blocks(struct judge *j, const struct lockout_socket *s, uint8_t flags,
		   struct pf_verdict *by)
{
	const struct pf_iface *f = route_to(j, &s->remote);
	struct pf_world w = {.pf = j->pf, .host = j->host, .route = route_to, .arg = j};
	struct pf_crossing c = {.dir = PF_IN, .iface = f};
	struct pf_packet p = {.af = s->local.family,
			      .proto = IPPROTO_TCP,
			      .src = s->remote,
			      .dst = s->local,
			      .sport = s->remote_port,
			      .dport = s->port,
			      .flags = flags,
			      .uid = UINT32_MAX,
			      .gid = UINT32_MAX};

	/* A session over the jails' side is not an administrator's way in. */
	if (!f || f->jails || f->loopback)
		return false;
	pf_eval(&w, &c, &p, by);
	if (by->verdict == PF_VERDICT_PASS) {
		struct pf_packet back = p;

		c.dir = PF_OUT;
		back.src = p.dst;
		back.dst = p.src;
		back.sport = p.dport;
		back.dport = p.sport;
		back.flags = flags == TH_SYN ? TH_SYN | TH_ACK : TH_ACK;
		back.uid = back.gid = 0;
		pf_eval(&w, &c, &back, by);
	}
	pf_world_done(&w);
	return by->verdict == PF_VERDICT_BLOCK;
}

static void tell(struct judge *j, const struct pf_verdict *v, const char *what)
{
	struct str rule autodone(str_done) = {0};

	pf_print_rule(&rule, j->pf, v->rule);
	diag_warn(j->out, v->rule->pos, "%s (%s)", what, str_text(&rule));
}

struct wanted {
	const struct lockout_socket *s;
	bool found;
};

static int is_kept(const struct ct_flow *f, void *arg)
{
	struct wanted *w = arg;

	w->found = firewall_is_state(f) && ip_eq(&f->src, &w->s->remote) &&
		   f->sport == w->s->remote_port && f->reply_sport == w->s->port;
	return w->found;
}

static bool has_state(struct judge *j, const struct lockout_socket *s)
{
	struct wanted w = {.s = s};
	struct ng_err none = {0};

	return j->on && ct_each(j->filter, is_kept, &w, &none) >= 0 && w.found;
}

/* True: who is connected now could connect again. */
static bool judge_session(struct judge *j, const struct lockout_socket *s)
{
	struct pf_verdict v;
	char text[IP_TEXT], what[160];
	bool again = !blocks(j, s, TH_SYN, &v);

	ip_text(&s->remote, text);
	if (!has_state(j, s)) {
		struct pf_verdict middle;

		if (blocks(j, s, TH_ACK, &middle)) {
			snprintf(what, sizeof(what),
				 "this cuts the SSH session from %s that is connected now", text);
			tell(j, &middle, what);
			return again;
		}
	}
	if (!again) {
		snprintf(what, sizeof(what),
			 "this lets nobody at %s, who is connected now, connect to sshd again",
			 text);
		tell(j, &v, what);
	}
	return again;
}

/* Somebody on the internet. */
static void judge_listener(struct judge *j, const struct lockout_socket *s)
{
	struct lockout_socket one = *s;
	struct pf_verdict v;
	char what[80];

	if (ip_parse(s->local.family == AF_INET ? "198.51.100.1" : "2001:db8:ffff::1",
		     &one.remote) < 0)
		return;
	one.remote_port = 49152;
	const struct pf_iface *f = route_to(j, &one.remote);
	const struct ip any = {.family = one.local.family};
	for (size_t i = 0; f && i < f->naddrs && ip_eq(&one.local, &any); i++)
		if (f->addr[i].addr.family == any.family)
			one.local = f->addr[i].addr;
	if (ip_eq(&one.local, &any) || !blocks(j, &one, TH_SYN, &v))
		return;
	snprintf(what, sizeof(what), "this lets nobody on the internet reach sshd at port %u",
		 s->port);
	tell(j, &v, what);
}

void firewall_lockout(const struct pf *pf, const struct pf_host *host, struct nl *route,
		      struct nl *filter, bool on, struct diags *out)
{
	struct judge j = {pf, host, route, filter, on, out};
	struct sockets s = {0};
	bool reachable = false;

	read_sockets("/proc/self/net/tcp", AF_INET, &s);
	read_sockets("/proc/self/net/tcp6", AF_INET6, &s);
	keep_ssh(&s);
	for (size_t i = 0; i < s.n; i++)
		if (!s.v[i].listens)
			reachable |= judge_session(&j, &s.v[i]);
	for (size_t i = 0; i < s.n && !reachable; i++)
		if (s.v[i].listens)
			judge_listener(&j, &s.v[i]);
	free(s.v);
}
