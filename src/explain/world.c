/* The world's jails, read; and changed, to see what would be. */
#include <string.h>
#include "base/mem.h"
#include "explain/explain.h"

static bool is_called(const struct explain_jail *j, const char *name)
{
	return str_eq(j->name, name) || (j->block && str_eq(j->block, name));
}

static void find_peers(struct explain_world *w, struct explain_connect *c)
{
	for (size_t i = 0; c->c.peer == CONNECT_JAIL && i < w->n; i++) {
		const struct explain_jail *j = &w->jail[i];
		if (!is_called(j, c->c.jail))
			continue;
		struct ip *peer = arena_alloc(&w->arena, (j->naddrs + 1) * sizeof(*peer));
		for (size_t k = 0; k < j->naddrs; k++)
			peer[k] = j->addr[k].ip;
		c->peer = peer;
		c->npeers = j->naddrs;
		return;
	}
}

/* True: it could be read, as a checked configuration can. */
static bool read_connect(struct explain_world *w, const struct conf_value *v,
			 struct explain_connect *out)
{
	const char *why;
	*out = (struct explain_connect){.value = v};
	if (value_connect(&w->arena, v->text, &out->c, &why) < 0)
		return false;
	find_peers(w, out);
	return true;
}

static bool read_rdr(struct explain_world *w, const struct conf_value *v, struct explain_rdr *out)
{
	const char *why;
	*out = (struct explain_rdr){.value = v};
	return value_rdr(&w->arena, v->text, &out->r, &why) == 0;
}

void explain_read_jail(struct explain_world *w, size_t i)
{
	struct explain_jail *j = &w->jail[i];
	size_t n;
	const struct conf_value *v;
	j->listed = conf_is_set(j->conf, P_ALLOW_CONNECT);
	v = conf_list(j->conf, P_ALLOW_CONNECT, &n);
	j->connect = arena_alloc(&w->arena, (n + 1) * sizeof(*j->connect));
	for (size_t k = 0; k < n && j->listed; k++)
		j->nconnects += read_connect(w, &v[k], &j->connect[j->nconnects]);
	v = conf_list(j->conf, P_RDR, &n);
	j->rdr = arena_alloc(&w->arena, (n + 1) * sizeof(*j->rdr));
	for (size_t k = 0; k < n; k++)
		j->nrdrs += read_rdr(w, &v[k], &j->rdr[j->nrdrs]);
	v = conf_list(j->conf, P_NAT_SOURCE, &n);
	for (size_t k = 0; k < n; k++) {
		struct ip ip;
		if (ip_parse(v[k].text, &ip) == 0)
			j->source[ip.family == AF_INET6] = &v[k];
	}
	j->inherits = (conf_is_set(j->conf, P_IP4) && conf_sys(j->conf, P_IP4) == SYS_INHERIT) ||
		      (conf_is_set(j->conf, P_IP6) && conf_sys(j->conf, P_IP6) == SYS_INHERIT);
}

const struct explain_addr *explain_target(const struct explain_jail *j, int family)
{
	for (size_t i = 0; i < j->naddrs; i++)
		if (!j->addr[i].proxy && j->addr[i].ip.family == family)
			return &j->addr[i];
	return NULL;
}

void explain_world_done(struct explain_world *w)
{
	arena_done(&w->arena);
	*w = (struct explain_world){0};
}

/* ---- changes ---- */

/* The first value of a list is what its `= ` stands before; later ones come with commas: for the
 * walk all are one list. */
static const struct conf_value *new_value(struct explain_world *w, const char *text)
{
	struct conf_value *v = arena_alloc(&w->arena, sizeof(*v));
	v->text = text;
	return v;
}

static void change_connect(struct explain_world *w, struct explain_jail *j,
			   const struct explain_change *c)
{
	struct explain_connect *v = arena_alloc(&w->arena, (j->nconnects + 3) * sizeof(*v));
	size_t n = 0;
	/* A list that was not there takes the place of the default, which it has to repeat. */
	if (!j->listed && c->add && *c->add)
		n += read_connect(w, new_value(w, "internet"), &v[n]);
	for (size_t i = 0; i < j->nconnects; i++)
		if (j->connect[i].value != c->remove)
			v[n++] = j->connect[i];
	if (c->add && *c->add)
		n += read_connect(w, new_value(w, c->add), &v[n]);
	j->listed = true;
	j->connect = v;
	j->nconnects = n;
}

static void change_rdr(struct explain_world *w, struct explain_jail *j,
		       const struct explain_change *c)
{
	struct explain_rdr *v = arena_alloc(&w->arena, (j->nrdrs + 2) * sizeof(*v));
	size_t n = 0;
	for (size_t i = 0; i < j->nrdrs; i++)
		if (j->rdr[i].value != c->remove)
			v[n++] = j->rdr[i];
	if (c->add)
		n += read_rdr(w, new_value(w, c->add), &v[n]);
	j->rdr = v;
	j->nrdrs = n;
}

void explain_apply(struct explain_world *w, const struct explain_change *c)
{
	if (c->param == P_RDR)
		change_rdr(w, &w->jail[c->jail], c);
	else
		change_connect(w, &w->jail[c->jail], c);
}

/* ---- ends ---- */

static bool parse_address(const struct explain_world *w, const char *text, struct explain_end *out)
{
	if (ip_parse(text, &out->ip) < 0)
		return false;
	out->who = WHO_INTERNET;
	for (size_t i = 0; i < w->nranges; i++)
		if (ipnet_has(&w->range[i], &out->ip))
			out->who = WHO_NOBODY;
	for (size_t i = 0; i < w->nhosts; i++)
		if (ip_eq(&w->host[i], &out->ip))
			out->who = WHO_HOST;
	if (ip_is_loopback(&out->ip))
		out->who = WHO_HOST;
	for (size_t i = 0; i < w->n; i++)
		for (size_t k = 0; k < w->jail[i].naddrs; k++)
			if (ip_eq(&w->jail[i].addr[k].ip, &out->ip)) {
				out->who = WHO_JAIL;
				out->jail = i;
			}
	return true;
}

int explain_end_parse(const struct explain_world *w, const char *text, struct explain_end *out)
{
	*out = (struct explain_end){0};
	for (size_t i = 0; i < w->n; i++)
		if (is_called(&w->jail[i], text)) {
			out->who = WHO_JAIL;
			out->jail = i;
			return 0;
		}
	if (str_eq(text, "internet"))
		out->who = WHO_INTERNET;
	else if (str_eq(text, "host"))
		out->who = WHO_HOST;
	else if (!parse_address(w, text, out))
		return -EINVAL;
	return 0;
}
