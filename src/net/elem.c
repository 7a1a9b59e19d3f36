#include "net/elem.h"

#include <netinet/in.h>
#include "base/ip.h"
#include "base/num.h"

/* The sets as rules.nft declares them. Fields of a key, by what they say of a connection's first
 * packet: s source address, d destination address, p protocol, P destination port. Data: a address,
 * P port. */
static const struct set {
	const char *name[2], *key, *data;
	bool interval;
} sets[] = {
#define SET(name, ...)                            \
	{                                         \
		{name "4", name "6"}, __VA_ARGS__ \
	}
    SET("rdr", "pP", "aP", false),      SET("rdrfrom", "spP", "aP", true),
    SET("open", "dpP", "", false),      SET("openfrom", "sdpP", "", true),
    SET("self", "sd", "a", false),      SET("source", "s", "a", false),
    SET("listed", "s", "", false),      SET("pairs", "sd", "", false),
    SET("ports", "sdpP", "", false),    SET("spans", "sdpP", "", true),
    SET("out", "s", "", false),         SET("outports", "spP", "", false),
    SET("outspans", "spP", "", true),   SET("host", "s", "", false),
    SET("hostports", "spP", "", false), SET("hostspans", "spP", "", true),
#undef SET
};

struct value {
	uint8_t bytes[16];
	unsigned len;
};

static int read_number(const char *s, uint32_t max, struct value *v)
{
	uint32_t n;
	int rc = num_u32(s, 0, max, &n);
	if (rc < 0)
		return rc;
	v->len = max > 255 ? 2 : 1;
	v->bytes[0] = max > 255 ? (uint8_t)(n >> 8) : (uint8_t)n;
	v->bytes[1] = (uint8_t)n;
	return 0;
}

static int read_value(char kind, int family, const char *s, struct value *v)
{
	struct ip ip;

	switch (kind) {
	case 'a':
	case 's':
	case 'd':
		if (ip_parse(s, &ip) < 0 || ip.family != family)
			return -EINVAL;
		v->len = ip_size(&ip);
		memcpy(v->bytes, ip.bytes, sizeof v->bytes);
		return 0;
	case 'p':
		if (str_eq(s, "tcp") || str_eq(s, "udp")) {
			v->bytes[0] = str_eq(s, "tcp") ? IPPROTO_TCP : IPPROTO_UDP;
			v->len = 1;
			return 0;
		}
		return read_number(s, 255, v);
	default:
		return read_number(s, 65535, v);
	}
}

/* Takes the next field off the text: up to " . ", " : " or the end. */
static int next_field(const char **text, char *buf, size_t size)
{
	size_t n = strcspn(*text, " ");
	if (n == 0 || n >= size)
		return -EINVAL;
	memcpy(buf, *text, n);
	buf[n] = '\0';
	*text += n;
	if (strncmp(*text, " . ", 3) == 0 || strncmp(*text, " : ", 3) == 0)
		*text += 3;
	else if (**text)
		return -EINVAL;
	return 0;
}

/* One field of a key, "low-high" or a single value. */
static int add_key(struct nft_elem *e, const struct set *set, char kind, int family, char *field)
{
	struct value low, high;
	char *dash = set->interval ? strchr(field, '-') : NULL;

	if (dash)
		*dash = '\0';
	if (read_value(kind, family, field, &low) < 0 ||
	    read_value(kind, family, dash ? dash + 1 : field, &high) < 0)
		return -EINVAL;
	nft_key(e, low.bytes, low.len);
	if (set->interval)
		nft_key_end(e, high.bytes, high.len);
	return 0;
}

/* The set whose name the first `len` letters of `text` are, and which family's it is. */
static const struct set *find_set(const char *text, size_t len, int *v6)
{
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++)
		for (*v6 = 0; *v6 < 2; ++*v6)
			if (strlen(sets[i].name[*v6]) == len &&
			    strncmp(sets[i].name[*v6], text, len) == 0)
				return &sets[i];
	return NULL;
}

int elem_parse(const char *text, struct nft_elem *out)
{
	char field[2 * IP_TEXT];
	struct value v;
	int v6;
	size_t len = strcspn(text, " ");
	const struct set *set = find_set(text, len, &v6);

	if (!set || text[len] != ' ')
		return -EINVAL;
	int family = v6 ? AF_INET6 : AF_INET;
	*out = (struct nft_elem){.set = set->name[v6]};
	text += len + 1;
	for (const char *k = set->key; *k; k++)
		if (next_field(&text, field, sizeof field) < 0 ||
		    add_key(out, set, *k, family, field) < 0)
			return -EINVAL;
	for (const char *k = set->data; *k; k++) {
		if (next_field(&text, field, sizeof field) < 0 ||
		    read_value(*k, family, field, &v) < 0)
			return -EINVAL;
		nft_data(out, v.bytes, v.len);
	}
	return *text ? -EINVAL : 0;
}

static unsigned size_of(char kind, bool v6)
{
	return kind == 'p' ? 1 : kind == 'P' ? 2 : v6 ? 16 : 4;
}

unsigned elem_fields(const struct nft_elem *e, unsigned size[static 4])
{
	int v6;
	unsigned n = 0;
	const struct set *set = find_set(e->set, strlen(e->set), &v6);
	for (const char *k = set ? set->key : ""; *k; k++)
		size[n++] = size_of(*k, v6);
	return n;
}

/* span: an end of an interval, which is a number. */
static void add_value(struct str *out, char kind, int v6, const uint8_t *bytes, bool span)
{
	struct ip ip = {.family = v6 ? AF_INET6 : AF_INET};
	char text[IP_TEXT];
	switch (kind) {
	case 'p':
		if (!span && (*bytes == IPPROTO_TCP || *bytes == IPPROTO_UDP))
			str_add(out, *bytes == IPPROTO_TCP ? "tcp" : "udp");
		else
			str_addf(out, "%u", *bytes);
		break;
	case 'P':
		str_addf(out, "%u", (unsigned)bytes[0] << 8 | bytes[1]);
		break;
	default:
		memcpy(ip.bytes, bytes, ip_size(&ip));
		str_add(out, ip_text(&ip, text));
	}
}

void elem_format(struct str *out, const struct nft_elem *e)
{
	int v6;
	const struct set *set = find_set(e->set, strlen(e->set), &v6);
	const uint8_t *low = e->key, *high = e->key_endlen ? e->key_end : e->key, *data = e->data;
	if (!set)
		return;
	str_add(out, e->set);
	for (const char *k = set->key; *k; k++) {
		unsigned size = size_of(*k, v6), padded = (size + 3) & ~3U;
		str_add(out, k == set->key ? " " : " . ");
		bool span = memcmp(low, high, size) != 0;
		add_value(out, *k, v6, low, span);
		if (span) {
			str_addc(out, '-');
			add_value(out, *k, v6, high, span);
		}
		low += padded;
		high += padded;
	}
	for (const char *k = set->data; *k; k++) {
		str_add(out, k == set->data ? " : " : " . ");
		add_value(out, *k == 'a' ? 's' : *k, v6, data, false);
		data += (size_of(*k, v6) + 3) & ~3U;
	}
}

const char *elem_set(size_t i)
{
	return i < 2 * ARRAY_SIZE(sets) ? sets[i / 2].name[i % 2] : NULL;
}

void elem_statement(struct str *out, const char *text)
{
	int set = (int)strcspn(text, " ");
	str_addf(out, "add element inet " NFT_TABLE " %.*s {%s }\n", set, text, text + set);
}

/* Does one field of the flow lie between low and high? Network order compares byte by byte. */
static bool within(const uint8_t *low, const uint8_t *high, const void *field, size_t len)
{
	return memcmp(field, low, len) >= 0 && memcmp(field, high, len) <= 0;
}

bool elem_covers(const struct nft_elem *e, const struct ct_flow *f)
{
	int v6;
	const struct set *set = find_set(e->set, strlen(e->set), &v6);
	const uint8_t *low = e->key, *high = e->key_endlen ? e->key_end : e->key;
	const unsigned size = v6 ? 16 : 4;
	const uint8_t port[2] = {(uint8_t)(f->dport >> 8), (uint8_t)f->dport};

	if (!set || f->src.family != (v6 ? AF_INET6 : AF_INET))
		return false;
	for (const char *k = set->key; *k; k++) {
		const void *field = *k == 's'   ? f->src.bytes
				    : *k == 'd' ? f->dst.bytes
				    : *k == 'p' ? &f->proto
						: port;
		unsigned len = *k == 'p' ? 1 : *k == 'P' ? 2 : size;
		if (!within(low, high, field, len))
			return false;
		len = len < 4 ? 4 : len;
		low += len;
		high += len;
	}
	/* A redirect covers what was sent to its target. */
	return !str_prefix(set->name[0], "rdr") || memcmp(f->reply_src.bytes, e->data, size) == 0;
}
