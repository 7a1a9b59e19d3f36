#include "host/lookup.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <ctype.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <stdio.h>
#include "base/file.h"
#include "base/mem.h"

#define TYPE_CAA 257 /* RFC 8659; not in <arpa/nameser.h> everywhere */

static const struct {
	const char *text;
	unsigned number;
} types[] = {
    [LOOKUP_A] = {"A", ns_t_a},       [LOOKUP_AAAA] = {"AAAA", ns_t_aaaa},
    [LOOKUP_PTR] = {"PTR", ns_t_ptr}, [LOOKUP_MX] = {"MX", ns_t_mx},
    [LOOKUP_TXT] = {"TXT", ns_t_txt}, [LOOKUP_SRV] = {"SRV", ns_t_srv},
    [LOOKUP_CAA] = {"CAA", TYPE_CAA},
};

const char *lookup_type_text(enum lookup_type t)
{
	return types[t].text;
}

/* ---- answers ---- */

struct reader {
	const unsigned char *msg, *p, *end; /* the whole; the next byte; behind the last */
	bool bad;                           /* it ended too early: all that follows is 0 */
};

static unsigned get(struct reader *r, unsigned bytes)
{
	unsigned v = 0;

	if (r->bad || (size_t)(r->end - r->p) < bytes) {
		r->bad = true;
		return 0;
	}
	while (bytes--)
		v = v << 8 | *r->p++;
	return v;
}

static void skip(struct reader *r, size_t bytes)
{
	if (r->bad || (size_t)(r->end - r->p) < bytes)
		r->bad = true;
	else
		r->p += bytes;
}

/* A name may go on anywhere before it in the message. */
static void get_name(struct reader *r, struct str *out)
{
	char name[NS_MAXDNAME];
	int n = r->bad ? -1 : dn_expand(r->msg, r->end, r->p, name, sizeof name);

	if (n < 0) {
		r->bad = true;
		return;
	}
	r->p += n;
	for (char *c = name; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	if (out)
		str_add(out, *name ? name : ".");
}

/* So many bytes as text; NUL has no place in one. */
static void get_text(struct reader *r, size_t n, struct str *out)
{
	const unsigned char *from = r->p;

	skip(r, n);
	for (size_t i = 0; i < n && !r->bad; i++)
		str_addc(out, from[i] ? (char)from[i] : '?');
}

static void get_address(struct reader *r, int family, struct str *out)
{
	char text[INET6_ADDRSTRLEN];
	const unsigned char *from = r->p;

	skip(r, family == AF_INET ? 4 : 16);
	if (!r->bad)
		str_add(out, inet_ntop(family, from, text, sizeof text));
}

/* The data of one record, which `r` ends with. */
static void get_data(struct reader *r, enum lookup_type type, struct str *out)
{
	switch (type) {
	case LOOKUP_A:
	case LOOKUP_AAAA:
		get_address(r, type == LOOKUP_A ? AF_INET : AF_INET6, out);
		break;
	case LOOKUP_MX:
		str_addf(out, "%u ", get(r, 2));
		get_name(r, out);
		break;
	case LOOKUP_PTR:
		get_name(r, out);
		break;
	case LOOKUP_SRV:
		for (int i = 0; i < 3; i++)
			str_addf(out, "%u ", get(r, 2));
		get_name(r, out);
		break;
	case LOOKUP_TXT:
		while (!r->bad && r->p < r->end)
			get_text(r, get(r, 1), out);
		break;
	case LOOKUP_CAA:
		str_addf(out, "%u ", get(r, 1));
		get_text(r, get(r, 1), out);
		str_addc(out, ' ');
		get_text(r, (size_t)(r->end - r->p), out);
		break;
	}
}

int lookup_read(const unsigned char *answer, size_t len, enum lookup_type type, struct strv *out)
{
	struct reader r = {.msg = answer, .p = answer, .end = answer + len};

	skip(&r, 4);
	unsigned questions = get(&r, 2), answers = get(&r, 2);
	skip(&r, 4);
	while (!r.bad && questions--) {
		get_name(&r, NULL);
		skip(&r, 4);
	}
	while (!r.bad && answers--) {
		struct str text autodone(str_done) = {0};

		get_name(&r, NULL);
		unsigned number = get(&r, 2), class = get(&r, 2);
		skip(&r, 4);
		unsigned size = get(&r, 2);
		struct reader data = r;
		skip(&r, size);
		if (r.bad || class != ns_c_in || number != types[type].number)
			continue;
		data.end = r.p;
		get_data(&data, type, &text);
		if (data.bad || data.p != data.end)
			return -EBADMSG;
		strv_add(out, str_text(&text));
	}
	return r.bad ? -EBADMSG : 0;
}

/* ---- asking ---- */

/* The servers of another root, which the C library cannot be told to read. */
static void use_servers_of(struct __res_state *s, const char *root)
{
	struct str path autodone(str_done) = {0};
	autofree char *text = NULL;
	size_t len;
	int n = 0;

	str_addf(&path, "%s/etc/resolv.conf", root);
	if (file_read(path.s, &text, &len) < 0)
		return;
	char *rest = text;
	for (char *line; n < MAXNS && (line = strsep(&rest, "\n"));) {
		struct strv word autodone(strv_done) = {0};
		struct ip ip;

		strv_split(&word, line, " \t\r");
		if (word.n < 2 || !str_eq(word.v[0], "nameserver") ||
		    ip_parse(word.v[1], &ip) < 0 || ip.family != AF_INET)
			continue;
		s->nsaddr_list[n] =
		    (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(NS_DEFAULTPORT)};
		memcpy(&s->nsaddr_list[n++].sin_addr, ip.bytes, 4);
	}
	if (n)
		s->nscount = n;
}

static int ask(struct __res_state *s, const char *name, unsigned type, unsigned char *answer,
	       int size, struct ng_err *err)
{
	int n = res_nquery(s, name, ns_c_in, (int)type, answer, size);

	if (n >= 0)
		return n < size ? n : size;
	if (s->res_h_errno == HOST_NOT_FOUND || s->res_h_errno == NO_DATA)
		return err_set(err, ENOENT, "the DNS has no such record");
	return err_set(err, EAGAIN,
		       "no name server of /etc/resolv.conf could answer: is the network up, and "
		       "does the domain's own server run?");
}

int lookup(const char *root, enum lookup_type type, const char *name, struct strv *out,
	   struct ng_err *err)
{
	struct strv found autodone(strv_done) = {0};
	struct __res_state s = {0};
	static unsigned char answer[NS_MAXMSG];

	if (res_ninit(&s) < 0)
		return err_set(err, EAGAIN, "%s: /etc/resolv.conf cannot be read", name);
	if (*root)
		use_servers_of(&s, root);
	s.options |= RES_USE_EDNS0;
	s.retry = s.retry < 2 ? s.retry : 2;
	s.retrans = s.retrans < 3 ? s.retrans : 3;
	int rc = ask(&s, name, types[type].number, answer, (int)sizeof answer, err);
	res_nclose(&s);
	if (rc >= 0 && lookup_read(answer, (size_t)rc, type, &found) < 0)
		rc = err_set(err, EAGAIN, "what the name server answers cannot be read");
	else if (rc >= 0 && !found.n)
		rc = err_set(err, ENOENT, "the DNS has no such record");
	if (rc < 0)
		return err_prefix(err, "%s %s", name, types[type].text);
	for (size_t i = 0; i < found.n; i++)
		strv_add(out, found.v[i]);
	return 0;
}

int lookup_ask(void *root, enum lookup_type type, const char *name, struct strv *out,
	       struct ng_err *err)
{
	return lookup(root, type, name, out, err);
}

char *lookup_reverse(const struct ip *a, const char *zone)
{
	struct str s = {0};

	for (unsigned i = ip_size(a); i--;) {
		if (a->family == AF_INET)
			str_addf(&s, "%u.", a->bytes[i]);
		else
			str_addf(&s, "%x.%x.", a->bytes[i] & 15, a->bytes[i] >> 4);
	}
	str_add(&s, zone ? zone : a->family == AF_INET ? "in-addr.arpa" : "ip6.arpa");
	return str_take(&s);
}
