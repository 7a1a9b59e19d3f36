/* In two steps: the file is read into assignments, the last of each name counts; then those that we
 * know are understood. */
#include "conf/rcconf.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/lex.h"
#include "base/num.h"
#include "base/str.h"
#include "conf/map.h"

#define IFNAME_MAX 15

struct assignment {
	const char *name, *value;
	struct pos pos;      /* of the value */
	const char *dynamic; /* what only a shell could evaluate, or NULL */
	bool broken;         /* its end is missing; was told */
};

struct reader {
	struct rcconf *rc;
	struct diags *diags;
	struct lex lex;
	struct str text;
	const char *dynamic;
	bool broken;
	struct assignment *v;
	size_t n;
	struct map by_name;
};

static bool is_name(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_';
}

static bool is_blank(int c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static bool ends_word(int c)
{
	return c < 0 || is_blank(c) || c == '\n' || c == ';' || c == '&' || c == '|' || c == '(' ||
	       c == ')' || c == '<' || c == '>';
}

static void add(struct reader *r, int c)
{
	if (c > 0)
		str_addc(&r->text, (char)c);
}

/* Inside of double quotes, up to and over the closing one. */
static void double_quoted(struct reader *r, struct pos opened)
{
	struct lex *l = &r->lex;
	for (int c; (c = lex_get(l)) != '"';) {
		if (c < 0) {
			diag_error(r->diags, opened,
				   "unterminated string: the closing \" is missing");
			r->broken = true;
			return;
		}
		if (c == '$' || c == '`')
			r->dynamic = c == '$' ? "$" : "`";
		int next = lex_peek(l);
		if (c == '\\' && next >= 0 && strchr("\"\\$`\n", next)) {
			c = lex_get(l);
			if (c == '\n')
				continue;
		}
		add(r, c);
	}
}

static void single_quoted(struct reader *r, struct pos opened)
{
	for (int c; (c = lex_get(&r->lex)) != '\'';) {
		if (c < 0) {
			diag_error(r->diags, opened,
				   "unterminated string: the closing ' is missing");
			r->broken = true;
			return;
		}
		add(r, c);
	}
}

/* One word of the shell into r->text. */
static void word(struct reader *r)
{
	struct lex *l = &r->lex;
	r->text.len = 0;
	r->dynamic = NULL;
	while (!ends_word(lex_peek(l))) {
		struct pos at = l->pos;
		int c = lex_get(l);
		if (c == '"') {
			double_quoted(r, at);
		} else if (c == '\'') {
			single_quoted(r, at);
		} else if (c == '\\') {
			c = lex_get(l);
			if (c != '\n')
				add(r, c);
		} else {
			if (c == '$' || c == '`')
				r->dynamic = c == '$' ? "$" : "`";
			add(r, c);
		}
	}
}

static void not_an_assignment(struct reader *r, struct pos at)
{
	diag_error(r->diags, at,
		   "only NAME=\"value\" is read here, nothing that a shell would have to run");
	lex_skip_line(&r->lex);
}

static void assignment(struct reader *r)
{
	struct lex *l = &r->lex;
	struct pos at = l->pos;
	const char *start = l->p;
	size_t len = lex_while(l, is_name);
	if (!len || (*start >= '0' && *start <= '9') || lex_peek(l) != '=') {
		not_an_assignment(r, at);
		return;
	}
	struct arena *a = &r->rc->arena;
	struct assignment v = {.name = arena_strndup(a, start, len)};
	lex_get(l);
	v.pos = l->pos;
	word(r);
	v.value = arena_strndup(a, str_text(&r->text), r->text.len);
	v.dynamic = r->dynamic;
	v.broken = r->broken;
	size_t *known = map_get(&r->by_name, v.name, len);
	if (known) {
		r->v[*known] = v;
	} else {
		map_put(&r->by_name, v.name, len, r->n);
		r->v = mem_grow(r->v, r->n, sizeof(*r->v));
		r->v[r->n++] = v;
	}
	int c = lex_peek(l);
	if (c >= 0 && strchr("&|()<>", c))
		not_an_assignment(r, l->pos);
}

static void read_assignments(struct reader *r)
{
	struct lex *l = &r->lex;
	if (memchr(l->p, '\0', (size_t)(l->end - l->p))) {
		diag_error(r->diags, (struct pos){.file = l->pos.file},
			   "a NUL byte is in this file: it is not text");
		return;
	}
	for (int c; (c = lex_peek(l)) >= 0;) {
		if (is_blank(c) || c == '\n' || c == ';')
			lex_get(l);
		else if (c == '#')
			lex_skip_line(l);
		else if (!lex_accept(l, "\\\n"))
			assignment(r);
	}
}

/* NULL where the variable is not set, or its value cannot be told. */
static const struct assignment *get(struct reader *r, const char *name)
{
	const size_t *i = map_get(&r->by_name, name, strlen(name));
	if (!i)
		return NULL;
	const struct assignment *v = &r->v[*i];
	if (v->broken)
		return NULL;
	if (!v->dynamic)
		return v;
	diag_error(r->diags, v->pos,
		   "%s: \"%s\" would need a shell: write the value itself, or quote it in '…'",
		   name, v->dynamic);
	return NULL;
}

/* Is it said at all? */
static bool get_bool(struct reader *r, const char *name, bool *out)
{
	static const char *const yes[] = {"YES", "TRUE", "ON", "1"}, *const no[] = {"NO", "FALSE",
										    "OFF", "0"};
	const struct assignment *v = get(r, name);
	if (!v)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		if (strcasecmp(v->value, yes[i]) == 0 || strcasecmp(v->value, no[i]) == 0) {
			*out = strcasecmp(v->value, yes[i]) == 0;
			return true;
		}
	}
	diag_error(r->diags, v->pos, "%s: \"%s\" is neither YES nor NO", name, v->value);
	return true;
}

/* The words of a value; NULL-terminated, from the arena. */
static const char **split(struct reader *r, const char *s, size_t *n)
{
	struct arena *a = &r->rc->arena;
	const char **v = arena_alloc(a, (strlen(s) / 2 + 2) * sizeof(*v));
	*n = 0;
	for (;;) {
		s += strspn(s, " \t\n");
		size_t len = strcspn(s, " \t\n");
		if (!len)
			return v;
		v[(*n)++] = arena_strndup(a, s, len);
		s += len;
	}
}

static struct rc_interface *interface(struct reader *r, const char *name, size_t len,
				      struct pos pos)
{
	struct rcconf *rc = r->rc;
	for (size_t i = 0; i < rc->ninterfaces; i++)
		if (strlen(rc->interface[i].name) == len &&
		    memcmp(rc->interface[i].name, name, len) == 0)
			return &rc->interface[i];
	rc->interface = mem_grow(rc->interface, rc->ninterfaces, sizeof(*rc->interface));
	struct rc_interface *new = &rc->interface[rc->ninterfaces++];
	*new = (struct rc_interface){.name = arena_strndup(&rc->arena, name, len), .pos = pos};
	return new;
}

static void get_cloned(struct reader *r)
{
	const struct assignment *v = get(r, "cloned_interfaces");
	size_t n = 0;
	const char **names = v ? split(r, v->value, &n) : NULL;
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(names[i]);
		if (len > IFNAME_MAX || strchr(names[i], '/'))
			diag_error(r->diags, v->pos,
				   "cloned_interfaces: \"%s\" is not an interface's name (1 to 15 "
				   "bytes)",
				   names[i]);
		else
			interface(r, names[i], len, v->pos)->cloned = true;
	}
}

/* "netmask 255.255.255.0", "netmask 0xffffff00", "prefixlen 64" behind an address without a length.
 */
static bool get_length(const char *key, const char *value, struct ipnet *net)
{
	char text[IP_TEXT + 16], addr[IP_TEXT];
	struct ipnet with;
	unsigned m;
	int end = 0;
	if (str_prefix(value, "0x") && sscanf(value, "%x%n", &m, &end) == 1 && !value[end])
		snprintf(text, sizeof(text), "0.0.0.0/%u.%u.%u.%u", m >> 24, m >> 16 & 255,
			 m >> 8 & 255, m & 255);
	else if (strlen(value) < 16)
		snprintf(text, sizeof(text), "%s/%s", ip_text(&net->addr, addr), value);
	else
		return false;
	bool dotted = strchr(strchr(text, '/'), '.');
	if (dotted != str_eq(key, "netmask") || ipnet_parse(text, &with) < 0)
		return false;
	net->len = with.len;
	return true;
}

/* One "inet ADDR …" or "inet6 ADDR …" at w[0]. Returns how many words it took, 0 for a fault. */
static size_t get_address(struct reader *r, const struct assignment *v, const char **w, size_t n,
			  struct ipnet *net)
{
	bool six = str_eq(w[0], "inet6");
	size_t used = 2;
	if (n < 2 || ipnet_parse(w[1], net) < 0 || (net->addr.family == AF_INET6) != six) {
		diag_error(r->diags, v->pos, "%s: \"%s\" is not an IPv%d address", v->name,
			   n < 2 ? "" : w[1], six ? 6 : 4);
		return 0;
	}
	bool length = strchr(w[1], '/');
	if (n >= 4 && (str_eq(w[2], "netmask") || str_eq(w[2], "prefixlen"))) {
		if (!get_length(w[2], w[3], net)) {
			diag_error(r->diags, v->pos, "%s: \"%s %s\" does not fit %s: write %s/%d",
				   v->name, w[2], w[3], w[1], w[1], six ? 64 : 24);
			return 0;
		}
		length = true;
		used = 4;
	}
	if (!length) {
		diag_error(r->diags, v->pos, "%s: how large is the network of %s? write %s/%d",
			   v->name, w[1], w[1], six ? 64 : 24);
		return 0;
	}
	return used;
}

/* Words that we do not know are for ifconfig(8): up, mtu, DHCP… */
static void get_addresses(struct reader *r, const struct assignment *v, struct rc_interface *ifp)
{
	size_t n, used;
	const char **w = split(r, v->value, &n);
	for (size_t i = 0; i < n; i += used) {
		struct ipnet net;
		used = 1;
		if (!str_eq(w[i], "inet") && !str_eq(w[i], "inet6"))
			continue;
		/* "inet6 accept_rtadv", "inet6 auto_linklocal" */
		if (i + 1 < n && str_eq(w[i], "inet6") && !strchr(w[i + 1], ':'))
			continue;
		used = get_address(r, v, w + i, n - i, &net);
		if (!used)
			return;
		ifp->addr = mem_grow(ifp->addr, ifp->naddrs, sizeof(*ifp->addr));
		ifp->addr[ifp->naddrs++] = net;
	}
}

enum suffix { MAIN, MAIN6, ALIAS, OTHER };

/* What ifconfig_IF, ifconfig_IF_ipv6, ifconfig_IF_aliasN say; *len is that of IF. */
static enum suffix suffix_of(const char *name, size_t *len)
{
	*len = strlen(name);
	const char *tail = strrchr(name, '_');
	if (!tail)
		return MAIN;
	*len = (size_t)(tail - name);
	if (str_eq(tail, "_ipv6"))
		return MAIN6;
	if (str_prefix(tail, "_alias") && tail[6] && !tail[6 + strspn(tail + 6, "0123456789")])
		return ALIAS;
	return OTHER;
}

/* The first address of an interface is its main one, wherever the aliases stand in the file. */
static void get_interfaces(struct reader *r)
{
	static const char prefix[] = "ifconfig_";
	for (enum suffix pass = MAIN; pass < OTHER; pass++)
		for (size_t i = 0; i < r->n; i++) {
			size_t len;
			const struct assignment *v = &r->v[i];
			if (!str_prefix(v->name, prefix))
				continue;
			const char *name = v->name + sizeof(prefix) - 1;
			if (suffix_of(name, &len) != pass || !len || len > IFNAME_MAX ||
			    !get(r, v->name))
				continue;
			get_addresses(r, v, interface(r, name, len, v->pos));
		}
}

/* FreeBSD has more variables of these families than we read; those are meant. */
static bool is_theirs(const char *name)
{
	static const char *const theirs[] = {"jail_conf",         "jail_confwarn",
					     "pf_flags",          "pf_program",
					     "pf_fallback_rules", "jail_parallel_start"};
	for (size_t i = 0; i < ARRAY_SIZE(theirs); i++)
		if (str_eq(name, theirs[i]))
			return true;
	return false;
}

static void warn_misspelt(struct reader *r)
{
	static const char *const ours[] = {"jail_enable",   "jail_list", "jail_reverse_stop",
					   "pf_enable",     "pf_rules",  "cloned_interfaces",
					   "gateway_enable"};
	static const char *const family[] = {"jail_", "pf_", "cloned_", "gateway_"};
	for (size_t i = 0; i < r->n; i++) {
		const char *name = r->v[i].name, *near = NULL;
		for (size_t k = 0; k < ARRAY_SIZE(family) && !near; k++)
			if (str_prefix(name, family[k]) && !is_theirs(name))
				near = str_nearest(name, ours, ARRAY_SIZE(ours));
		if (near && !str_eq(near, name))
			diag_warn(r->diags, r->v[i].pos,
				  "%s: nothing reads this variable (did you mean \"%s\"?)", name,
				  near);
	}
}

static void understand(struct reader *r)
{
	struct rcconf *rc = r->rc;
	rc->jail_enable_set = get_bool(r, "jail_enable", &rc->jail_enable);
	get_bool(r, "jail_reverse_stop", &rc->jail_reverse_stop);
	get_bool(r, "pf_enable", &rc->pf_enable);
	get_bool(r, "gateway_enable", &rc->gateway_enable);
	const struct assignment *v = get(r, "jail_list");
	size_t n;
	if (v) {
		rc->jail_list = split(r, v->value, &n);
		rc->jail_list_pos = v->pos;
	}
	v = get(r, "pf_rules");
	if (v && *v->value != '/')
		diag_error(r->diags, v->pos,
			   "pf_rules %s: not an absolute pathname (begin it with \"/\")", v->value);
	else if (v)
		rc->pf_rules = v->value;
	get_cloned(r);
	get_interfaces(r);
	warn_misspelt(r);
}

void rcconf_read_text(struct rcconf *rc, const char *name, const char *text, size_t len,
		      struct diags *d)
{
	struct reader r = {.rc = rc, .diags = d};
	rc->pf_rules = "/etc/pf.conf";
	lex_init(&r.lex, arena_strndup(&rc->arena, name, strlen(name)), text, len);
	read_assignments(&r);
	understand(&r);
	str_done(&r.text);
	map_done(&r.by_name);
	free(r.v);
}

int rcconf_read(struct rcconf *rc, const char *path, struct diags *d)
{
	autofree char *text = NULL;
	size_t len = 0;
	int r = file_read(path, &text, &len);
	if (r < 0 && r != -ENOENT) {
		diag_error(d, (struct pos){.file = path}, "%s", strerror(-r));
		return r;
	}
	rcconf_read_text(rc, path, text ? text : "", len, d);
	return 0;
}

const struct rc_interface *rcconf_interface(const struct rcconf *rc, const char *name)
{
	for (size_t i = 0; i < rc->ninterfaces; i++)
		if (str_eq(rc->interface[i].name, name))
			return &rc->interface[i];
	return NULL;
}

void rcconf_done(struct rcconf *rc)
{
	for (size_t i = 0; i < rc->ninterfaces; i++)
		free(rc->interface[i].addr);
	free(rc->interface);
	arena_done(&rc->arena);
	*rc = (struct rcconf){0};
}
