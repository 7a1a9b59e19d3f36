/* Processes of the host that listen where a redirect leads elsewhere. */
#include <ctype.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "base/mem.h"
#include "conf/value.h"
#include "doctor/check.h"

/* ---- redirects ---- */

struct redirect {
	const struct gather_jail *jail;
	const char *text;
	struct pos pos;
};

/* Who has each port of each protocol: index + 1. */
struct redirects {
	struct redirect *v;
	size_t n;
	uint32_t *port[2]; /* tcp, udp; NULL: none */
};

static void redirects_done(struct redirects *r)
{
	free(r->v);
	free(r->port[0]);
	free(r->port[1]);
}

static void add_redirects(struct redirects *r, const struct gather_jail *j)
{
	struct arena a autodone(arena_done) = {0};
	size_t n;
	const struct conf_value *v = conf_list(&j->conf, P_RDR, &n);
	for (size_t i = 0; i < n; i++) {
		struct conf_rdr rdr;
		const char *why;
		/* For some clients alone: the others reach the host's process. */
		if (value_rdr(&a, v[i].text, &rdr, &why) < 0 || rdr.nfrom)
			continue;
		uint32_t **port = &r->port[rdr.proto == PROTO_UDP];
		if (!*port)
			*port = mem_alloc(65536 * sizeof(**port));
		r->v = mem_grow(r->v, r->n, sizeof(*r->v));
		r->v[r->n++] = (struct redirect){j, v[i].text, v[i].pos};
		for (unsigned p = rdr.port.first; p <= rdr.port.last; p++)
			(*port)[p] = (uint32_t)r->n;
	}
}

/* ---- who listens ---- */

/* The process that has the socket open: its pid and name. */
static bool find_process(const struct doctor *d, uint64_t inode, char *out, size_t size)
{
	char want[48], at[300], name[64];
	DIR *proc = opendir(d->proc);
	bool got = false;

	snprintf(want, sizeof want, "socket:[%" PRIu64 "]", inode);
	for (struct dirent *p; proc && !got && (p = readdir(proc));) {
		if (!isdigit((unsigned char)p->d_name[0]))
			continue;
		snprintf(at, sizeof at, "%s/%s/fd", d->proc, p->d_name);
		DIR *fds = opendir(at);
		for (struct dirent *f; fds && !got && (f = readdir(fds));) {
			char target[64];
			ssize_t n = readlinkat(dirfd(fds), f->d_name, target, sizeof target - 1);
			target[n > 0 ? n : 0] = '\0';
			got = str_eq(target, want);
		}
		if (fds)
			closedir(fds);
		snprintf(at, sizeof at, "%s/comm", p->d_name);
		if (got && proc_read(d, at, name, sizeof name))
			snprintf(out, size, "%s (process %.20s)", name, p->d_name);
	}
	if (proc)
		closedir(proc);
	return got;
}

static void tell(struct doctor *d, const struct redirect *r, const char *proto, unsigned port,
		 uint64_t inode)
{
	char who[128] = "a process of the host";
	(void)find_process(d, inode, who, sizeof who);
	struct finding *f =
	    found(d, DOCTOR_HINDERS, "%s listens on %s port %u, which leads to jail %s", who, proto,
		  port, r->jail->name);
	because(f, "rdr \"%s\" at %s:%u takes what comes from outside before it gets there%s",
		r->text, r->pos.file, r->pos.line,
		port == 22 ? ": you may be locked out of this host" : "");
	mend(f,
	     "# stop it, or let it listen on another port; or change the rdr, as in rdr = \"%s %u "
	     "-> %u\";",
	     proto, port < 1024 ? port + 8000 : port + 1, port);
}

/* One line of /proc/net/tcp: "N: ADDR:PORT PEER:PORT STATE … INODE". Addresses are 32 bits at a
 * time in the host's order. */
static bool parse_line(const char *line, bool six, bool *loopback, unsigned *port, unsigned *state,
		       uint64_t *inode)
{
	char addr[40], peer[48];
	if (sscanf(line, " %*u: %39[0-9A-Fa-f]:%X %47s %X %*s %*s %*s %*u %*u %" SCNu64, addr, port,
		   peer, state, inode) != 5 ||
	    strlen(addr) != (six ? 32 : 8))
		return false;
	/* ::1, or 127 in the first byte, whichever end the machine puts first. */
	uint32_t word = (uint32_t)strtoul(addr + (six ? 24 : 0), NULL, 16);
	const uint8_t *b = (const uint8_t *)&word;
	*loopback =
	    six ? strncmp(addr, "000000000000000000000000", 24) == 0 && b[3] == 1 : b[0] == 127;
	return true;
}

#define TCP_LISTENS 0x0a
#define UDP_UNCONNECTED 0x07

static void look(struct doctor *d, const struct redirects *r, const char *file, bool udp, bool six)
{
	struct str path autodone(str_done) = {0};
	autofree char *text = NULL;
	size_t len;
	str_addf(&path, "%s/net/%s", d->proc, file);
	if (!r->port[udp] || file_read(path.s, &text, &len) < 0)
		return;
	char *rest = text;
	for (char *line; (line = strsep(&rest, "\n"));) {
		unsigned port = 0, state = 0;
		uint64_t inode = 0;
		bool loopback = false;
		if (!parse_line(line, six, &loopback, &port, &state, &inode) || loopback ||
		    port > 65535 || state != (udp ? UDP_UNCONNECTED : TCP_LISTENS))
			continue;
		uint32_t owner = r->port[udp][port];
		if (!owner)
			continue;
		tell(d, &r->v[owner - 1], udp ? "udp" : "tcp", port, inode);
		r->port[udp][port] = 0; /* once */
	}
}

void check_ports(struct doctor *d)
{
	struct redirects r autodone(redirects_done) = {0};
	for (size_t i = 0; i < d->gather->n; i++)
		if (d->gather->jail[i].block)
			add_redirects(&r, &d->gather->jail[i]);
	look(d, &r, "tcp", false, false);
	look(d, &r, "tcp6", false, true);
	look(d, &r, "udp", true, false);
	look(d, &r, "udp6", true, true);
}
