#include "conf/check.h"

#include <stdint.h>
#include <string.h>

#include "base/str.h"
#include "conf/resolve.h"
#include "conf/value.h"

#define NONE SIZE_MAX

/* What is kept of a jail once it was resolved. */
struct node {
	const char *block, *name;
	struct pos pos;
	struct edge *depend, *connect;
	size_t ndepends, nconnects;
	long children; /* children.max */
	size_t up;     /* while loops are sought: the jail that depends on this one; NONE */
	size_t next;   /* of depend[], to be looked at */
	enum { WHITE, GREY, BLACK } colour;
};

/* A jail named in another's values. */
struct edge {
	const char *name;
	struct pos pos;
};

/* Who has a port of the host: index + 1 of its owner. */
struct owner {
	const char *jail, *text;
	struct pos pos;
};

struct all {
	const struct conf *conf;
	struct diags *diags;
	struct arena arena;
	struct node *node;
	size_t n;
	struct map block, name, jid, addr; /* to the node; addr: to the owner */
	struct owner *owner;
	size_t nowners;
	uint32_t *port[2]; /* tcp, udp */
};

static char *keep(struct all *a, const char *s)
{
	return arena_strndup(&a->arena, s, strlen(s));
}

static size_t add_owner(struct all *a, const struct conf_jail *j, const struct conf_value *v)
{
	a->owner = mem_grow(a->owner, a->nowners, sizeof(*a->owner));
	a->owner[a->nowners] = (struct owner){j->block, keep(a, v->text), v->pos};
	return a->nowners++;
}

/* Names and numbers that two blocks claim. */
static void check_identity(struct all *a, const struct conf_jail *j, size_t i)
{
	const size_t *other =
	    *j->name ? map_put(&a->name, keep(a, j->name), strlen(j->name), i) : NULL;
	if (other && *other != i)
		diag_error_of(a->diags, j->block, conf_pos(j, P_NAME),
			      "name \"%s\" is also that of the jail at %s:%u: choose another",
			      j->name, a->node[*other].pos.file, a->node[*other].pos.line);
	if (!j->jid)
		return;
	const char *jid = arena_printf(&a->arena, "%d", j->jid);
	other = map_put(&a->jid, jid, strlen(jid), i);
	if (other && *other != i)
		diag_error_of(a->diags, j->block, conf_pos(j, P_JID),
			      "jid %d is also that of %s at %s:%u: take another, or none", j->jid,
			      a->node[*other].block, a->node[*other].pos.file,
			      a->node[*other].pos.line);
}

/* One address in two jails is a warning: they may be meant to run in turns. */
static void check_addresses(struct all *a, struct conf_jail *j, enum param_id id, int family)
{
	size_t n;
	const struct conf_value *v = conf_list(j, id, &n);
	for (size_t i = 0; i < n; i++) {
		struct conf_addr addr;
		const char *why;
		if (value_addr(&j->arena, family, v[i].text, &addr, &why) < 0 || !addr.addr.family)
			continue;
		unsigned size = ip_size(&addr.addr);
		uint8_t *key = arena_alloc(&a->arena, size);
		memcpy(key, addr.addr.bytes, size);
		const size_t *other = map_get(&a->addr, key, size);
		if (!other) {
			map_put(&a->addr, key, size, add_owner(a, j, &v[i]));
			continue;
		}
		const struct owner *o = &a->owner[*other];
		diag_warn_once(
		    a->diags, v[i].pos,
		    "%s: %s \"%s\" is also an address of %s at %s:%u: only one of them can "
		    "run",
		    j->block, param_get(id)->name, v[i].text, o->jail, o->pos.file, o->pos.line);
	}
}

/* One port of the host leads to one jail. */
static void check_redirects(struct all *a, struct conf_jail *j)
{
	size_t n;
	const struct conf_value *v = conf_list(j, P_RDR, &n);
	for (size_t i = 0; i < n; i++) {
		struct conf_rdr rdr;
		const char *why;
		if (value_rdr(&j->arena, v[i].text, &rdr, &why) < 0)
			continue;
		uint32_t **port = &a->port[rdr.proto == PROTO_UDP];
		if (!*port)
			*port = mem_alloc(65536 * sizeof(**port));
		uint32_t me = (uint32_t)add_owner(a, j, &v[i]) + 1;
		for (unsigned p = rdr.port.first; p <= rdr.port.last; p++) {
			if (!(*port)[p]) {
				(*port)[p] = me;
				continue;
			}
			const struct owner *o = &a->owner[(*port)[p] - 1];
			diag_error_of(a->diags, j->block, v[i].pos,
				      "rdr \"%s\" takes port %u, which \"%s\" of %s takes at %s:%u",
				      v[i].text, p, o->text, o->jail, o->pos.file, o->pos.line);
			break;
		}
	}
}

static void note_edges(struct all *a, struct conf_jail *j, struct node *node)
{
	size_t n;
	const struct conf_value *v = conf_list(j, P_DEPEND, &n);
	node->depend = arena_alloc(&a->arena, (n + 1) * sizeof(*node->depend)); /* and the parent */
	for (size_t i = 0; i < n; i++)
		node->depend[node->ndepends++] = (struct edge){keep(a, v[i].text), v[i].pos};

	v = conf_list(j, P_ALLOW_CONNECT, &n);
	node->connect = arena_alloc(&a->arena, n * sizeof(*node->connect));
	for (size_t i = 0; i < n; i++) {
		struct conf_connect c;
		const char *why;
		if (value_connect(&j->arena, v[i].text, &c, &why) == 0 && c.peer == CONNECT_JAIL)
			node->connect[node->nconnects++] = (struct edge){keep(a, c.jail), v[i].pos};
	}
}

static void check_jail(struct all *a, size_t i)
{
	autodone(conf_jail_done) struct conf_jail j = {0};
	struct node *node = &a->node[i];
	if (conf_resolve(a->conf, node->block, CONF_FOR_START, &j, a->diags) < 0)
		return;
	check_identity(a, &j, i);
	check_addresses(a, &j, P_IP4_ADDR, AF_INET);
	check_addresses(a, &j, P_IP6_ADDR, AF_INET6);
	check_redirects(a, &j);
	note_edges(a, &j, node);
	node->children = conf_int(&j, P_CHILDREN_MAX);
	node->name = keep(a, j.name);
}

/* The node that a jail's name or its block's stands for. */
static size_t find_node(const struct all *a, const char *name)
{
	const size_t *i = map_get(&a->block, name, strlen(name));
	if (!i)
		i = map_get(&a->name, name, strlen(name));
	return i ? *i : NONE;
}

/* The jail (or other peer of allow.connect) that was probably meant. Looking for it takes a step a
 * jail, so only while messages are still kept. */
static const char *suggest(const struct all *a, const char *name, bool peers)
{
	if (a->diags->n >= DIAG_MAX)
		return NULL;
	const char **names = mem_alloc((a->n + 2) * sizeof(*names));
	size_t n = 0;
	for (size_t i = 0; i < a->n; i++)
		names[n++] = a->node[i].block;
	if (peers) {
		names[n++] = "internet";
		names[n++] = "host";
	}
	const char *near = str_nearest(name, names, n);
	free(names);
	return near;
}

static void undefined(struct all *a, const struct node *node, const struct edge *e, bool peer)
{
	const char *near = suggest(a, e->name, peer);
	struct str remedy = {0};
	if (near)
		str_addf(&remedy, " (did you mean \"%s\"?)", near);
	else if (peer)
		str_add(&remedy, " (a jail, internet, host, or a network like 10.8.0.0/24)");
	else
		str_add(&remedy, ": configure it, or remove it here");
	diag_error_of(a->diags, node->block, e->pos, "%s \"%s\"%s",
		      peer ? "allow.connect names an undefined jail" : "depends on undefined jail",
		      e->name, str_text(&remedy));
	str_done(&remedy);
}

/* "a.b" is a child of "a", which must run before it: as if it depended on it, where it is
 * configured. */
static void check_parent(struct all *a, struct node *node)
{
	const char *dot = strrchr(node->name, '.');
	if (!dot || !node->depend)
		return;
	const char *name = arena_strndup(&a->arena, node->name, (size_t)(dot - node->name));
	size_t parent = find_node(a, name);
	if (parent == NONE)
		return;
	node->depend[node->ndepends++] = (struct edge){name, node->pos};
	if (a->node[parent].depend && !a->node[parent].children)
		diag_warn_once(a->diags, node->pos,
			       "%s: its parent %s allows no children: children.max = 1; there",
			       node->block, name);
}

static void check_names(struct all *a, struct node *node)
{
	for (size_t i = 0; i < node->ndepends; i++)
		if (find_node(a, node->depend[i].name) == NONE)
			undefined(a, node, &node->depend[i], false);
	for (size_t i = 0; i < node->nconnects; i++)
		if (find_node(a, node->connect[i].name) == NONE)
			undefined(a, node, &node->connect[i], true);
}

/* Walks back from the jail whose dependency closes the loop: "a -> b -> a". */
static void tell_loop(struct all *a, size_t from, size_t to, const struct edge *closing)
{
	struct str path = {0};
	size_t n = 0;
	for (size_t i = from; i != to; i = a->node[i].up)
		n++;
	size_t *chain = mem_alloc((n + 1) * sizeof(*chain));
	for (size_t i = from, k = n; k; i = a->node[i].up)
		chain[k--] = i;
	chain[0] = to;
	for (size_t k = 0; k <= n && path.len < 200; k++)
		str_addf(&path, "%s -> ", a->node[chain[k]].block);
	if (path.len >= 200)
		str_add(&path, "… -> ");
	diag_error_of(a->diags, a->node[from].block, closing->pos,
		      "dependency loop (%s%s): remove one of these", str_text(&path),
		      a->node[to].block);
	free(chain);
	str_done(&path);
}

/* Depth first without recursion: the way back is node.up. */
static void check_loops(struct all *a, size_t start)
{
	if (a->node[start].colour != WHITE)
		return;
	a->node[start].colour = GREY;
	a->node[start].up = NONE;
	for (size_t i = start; i != NONE;) {
		struct node *node = &a->node[i];
		if (node->next == node->ndepends) {
			node->colour = BLACK;
			i = node->up;
			continue;
		}
		const struct edge *e = &node->depend[node->next++];
		size_t to = find_node(a, e->name);
		if (to == NONE || a->node[to].colour == BLACK)
			continue;
		if (a->node[to].colour == GREY) {
			tell_loop(a, i, to, e);
			continue;
		}
		a->node[to].colour = GREY;
		a->node[to].up = i;
		i = to;
	}
}

/* Every record that is a jail becomes a node; of two with one name, the second is a fault. */
static void make_nodes(struct all *a)
{
	const struct conf *c = a->conf;
	a->node = mem_alloc((c->nrecords + 1) * sizeof(*a->node));
	for (size_t i = 0; i < c->nrecords; i++) {
		const struct conf_record *r = &c->record[i];
		if (conf_is_wildcard(r->name))
			continue;
		const size_t *other = map_put(&a->block, r->name, strlen(r->name), a->n);
		if (!other) {
			a->node[a->n++] =
			    (struct node){.block = r->name, .name = r->name, .pos = r->pos};
			continue;
		}
		const struct node *first = &a->node[*other];
		diag_error_of(a->diags, r->name, r->pos,
			      "this jail is defined at %s:%u already: join the two blocks",
			      first->pos.file, first->pos.line);
	}
}

int conf_check_all(const struct conf *c, struct diags *d)
{
	struct all a = {.conf = c, .diags = d};
	unsigned before = d->errors;

	make_nodes(&a);
	for (size_t i = 0; i < a.n; i++)
		check_jail(&a, i);
	for (size_t i = 0; i < a.n; i++)
		check_names(&a, &a.node[i]);
	for (size_t i = 0; i < a.n; i++)
		check_parent(&a, &a.node[i]);
	for (size_t i = 0; i < a.n; i++)
		check_loops(&a, i);

	map_done(&a.block);
	map_done(&a.name);
	map_done(&a.jid);
	map_done(&a.addr);
	free(a.node);
	free(a.owner);
	free(a.port[0]);
	free(a.port[1]);
	arena_done(&a.arena);
	return d->errors == before ? 0 : -EINVAL;
}

int conf_check_list(const struct conf *c, const struct rcconf *rc, struct diags *d)
{
	unsigned before = d->errors;
	size_t n = 0;
	autofree const char **names = rc->jail_list ? conf_names(c, &n) : NULL;

	for (const char **name = rc->jail_list; name && *name; name++) {
		if (conf_find(c, *name))
			continue;
		const char *near = str_nearest(*name, names, n);
		diag_error(
		    d, rc->jail_list_pos, "jail_list: no jail \"%s\" is configured%s%s%s", *name,
		    near ? " (did you mean \"" : ": configure it, or take it out of the list",
		    near ? near : "", near ? "\"?)" : "");
	}
	return d->errors == before ? 0 : -EINVAL;
}
