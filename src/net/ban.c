#include "net/ban.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/file.h>
#include <time.h>
#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"
#include "net/range.h"
#include "sys/nft.h"
#include "sys/rtnl.h"

#define BANS "/var/lib/newgate/bans"
#define LOCK "bans" /* below /run/newgate */

struct ipnet ban_net(const struct ip *ip)
{
	/* Who has IPv6 has 64 bits of it at least, and could come from another address each time. */
	struct ipnet net = {.addr = *ip, .len = ip->family == AF_INET6 ? 64 : 32};

	net.addr = ipnet_first(&net);
	return net;
}

const char *ban_text(const struct ipnet *net, char buf[static IPNET_TEXT])
{
	return net->len == ip_bits(&net->addr) ? ip_text(&net->addr, buf) : ipnet_text(net, buf);
}

/* ---- the file ---- */

static bool parse_line(char *line, struct ban *out)
{
	char *word[5], *rest = line;
	uint32_t n[2];

	*out = (struct ban){0};
	for (size_t i = 0; i < ARRAY_SIZE(word); i++)
		if (!(word[i] = strsep(&rest, " ")))
			return false;
	if (!rest || ipnet_parse(word[0], &out->net) < 0 ||
	    num_i64(word[1], 0, INT64_MAX / 2, &out->since) < 0 ||
	    num_i64(word[2], out->since, out->since + BAN_FOREVER, &out->until) < 0 ||
	    num_u32(word[3], 1, UINT32_MAX, &n[0]) < 0 ||
	    num_u32(word[4], 0, UINT32_MAX, &n[1]) < 0)
		return false;
	struct ipnet whole = ban_net(&out->net.addr);
	if (whole.len != out->net.len || !ip_eq(&whole.addr, &out->net.addr))
		return false;
	out->times = n[0];
	out->failures = n[1];
	snprintf(out->why, sizeof out->why, "%s", rest);
	return true;
}

void bans_parse(struct bans *b, char *text)
{
	for (char *line; b->n < BAN_MAX && (line = strsep(&text, "\n"));) {
		struct ban one;

		if (!parse_line(line, &one))
			continue;
		b->v = mem_grow(b->v, b->n, sizeof *b->v);
		b->v[b->n++] = one;
	}
}

void bans_format(const struct bans *b, struct str *out)
{
	char text[IPNET_TEXT];

	for (size_t i = 0; i < b->n; i++)
		str_addf(out, "%s %" PRId64 " %" PRId64 " %u %u %s\n", ban_text(&b->v[i].net, text),
			 b->v[i].since, b->v[i].until, b->v[i].times, b->v[i].failures,
			 b->v[i].why);
}

int bans_open(struct bans *b, struct state *s, struct ng_err *err)
{
	struct str path = {0};
	autofree char *text = NULL;
	size_t len;

	str_addf(&path, "%s" BANS, s->root);
	*b = (struct bans){.path = str_take(&path)};
	b->lock = openat(s->dir, LOCK, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (b->lock < 0 || flock(b->lock, LOCK_EX) < 0)
		return err_sys(err, errno, "/run/newgate/" LOCK);
	int rc = file_read(b->path, &text, &len);
	if (rc < 0)
		return rc == -ENOENT ? 0 : err_sys(err, rc, "%s", b->path);
	bans_parse(b, text);
	return 0;
}

void bans_done(struct bans *b)
{
	macro_close(&b->lock);
	free(b->path);
	free(b->v);
	*b = BANS_NONE;
}

/* ---- what is banned ---- */

static struct ban *find(const struct bans *b, const struct ip *ip)
{
	for (size_t i = 0; i < b->n; i++)
		if (ipnet_has(&b->v[i].net, ip))
			return &b->v[i];
	return NULL;
}

const struct ban *bans_find(const struct bans *b, const struct ip *ip, int64_t now)
{
	const struct ban *one = find(b, ip);

	return one && one->until > now ? one : NULL;
}

size_t bans_count(const struct bans *b, int64_t now)
{
	size_t count = 0;

	for (size_t i = 0; i < b->n; i++)
		count += b->v[i].until > now;
	return count;
}

static void drop(struct bans *b, struct ban *one)
{
	size_t at = (size_t)(one - b->v);

	memmove(one, one + 1, (--b->n - at) * sizeof *one);
}

static void make_room(struct bans *b, int64_t now)
{
	struct ban *first = NULL;

	for (size_t i = b->n; i-- > 0;)
		if (b->v[i].until + BAN_MEMORY < now)
			drop(b, &b->v[i]);
	if (b->n < BAN_MAX)
		return;
	for (size_t i = 0; i < b->n; i++)
		if (!first || b->v[i].until < first->until)
			first = &b->v[i];
	drop(b, first);
}

/* Twice as long as the last time, within reason. */
static int64_t repeated(const struct ban *last, int64_t seconds)
{
	int64_t twice = 2 * (last->until - last->since);

	twice = twice < BAN_LONGEST ? twice : BAN_LONGEST;
	return twice > seconds ? twice : seconds;
}

const struct ban *bans_add(struct bans *b, const struct ipnet *net, int64_t now, int64_t seconds,
			   bool longer, unsigned failures, const char *why)
{
	struct ban *one = find(b, &net->addr);

	if (!one) {
		make_room(b, now);
		b->v = mem_grow(b->v, b->n, sizeof *b->v);
		one = &b->v[b->n++];
		*one = (struct ban){.net = *net};
	} else if (one->until + BAN_MEMORY < now) {
		one->times = 0;
	}
	if (longer && one->times)
		seconds = repeated(one, seconds);
	one->since = now;
	one->until = now + seconds;
	one->times++;
	one->failures = failures;
	snprintf(one->why, sizeof one->why, "%s", why);
	return one;
}

bool bans_remove(struct bans *b, const struct ip *ip, int64_t now)
{
	struct ban *one = find(b, ip);
	bool held = one && one->until > now;

	if (one)
		drop(b, one);
	return held;
}

/* ---- the kernel ---- */

static const char *set_of(const struct ban *one)
{
	return one->net.addr.family == AF_INET ? "ban4" : "ban6";
}

void bans_statements(const struct bans *b, int64_t now, struct str *out)
{
	char text[IP_TEXT];

	for (size_t i = 0; i < b->n; i++)
		if (b->v[i].until > now)
			str_addf(out,
				 "add element inet " NFT_TABLE " %s { %s timeout %" PRId64 "s }\n",
				 set_of(&b->v[i]), ip_text(&b->v[i].net.addr, text),
				 b->v[i].until - now);
}

/* The sets are emptied and filled anew, in one transaction. */
static int load(const struct bans *b, struct net *n, int64_t now, struct ng_err *err)
{
	autodone(nl_batch_done) struct nl_batch batch = {0};
	struct ng_err e = {0};

	nft_begin(&batch);
	nft_flush(&batch, "ban4");
	nft_flush(&batch, "ban6");
	for (size_t i = 0; i < b->n; i++) {
		struct nft_elem one = {.set = set_of(&b->v[i])};

		if (b->v[i].until <= now)
			continue;
		nft_key(&one, b->v[i].net.addr.bytes, ip_size(&b->v[i].net.addr));
		one.expires = (uint64_t)(b->v[i].until - now) * 1000;
		nft_add(&batch, &one);
	}
	int rc = nft_commit(&n->filter, &batch, &e);
	if (rc < 0 && rc != -ENOENT) {
		*err = e;
		return err_prefix(err, "table inet " NFT_TABLE);
	}
	return 0;
}

int bans_save(struct bans *b, struct net *n, int64_t now, struct ng_err *err)
{
	struct str text autodone(str_done) = {0};
	autofree char *folder = mem_strndup(b->path, (size_t)(strrchr(b->path, '/') - b->path));

	bans_format(b, &text);
	int rc = file_mkdirs(folder, 0755);
	if (rc == 0)
		rc = file_replace(b->path, str_text(&text), text.len, 0600);
	return rc < 0 ? err_sys(err, rc, "%s", b->path) : load(b, n, now, err);
}

static bool is_in(const struct nft_elems *have, const struct ban *one)
{
	for (size_t i = 0; i < have->n; i++)
		if (memcmp(have->v[i].key, one->net.addr.bytes, ip_size(&one->net.addr)) == 0)
			return true;
	return false;
}

int bans_look(struct net *n, struct strv *faults, struct ng_err *err)
{
	struct bans b autodone(bans_done) = BANS_NONE;
	struct nft_elems four autodone(nft_elems_done) = {0}, six autodone(nft_elems_done) = {0};
	size_t missing = 0;

	int rc = bans_open(&b, n->state, err);
	/* One that ends while we look is none. */
	int64_t soon = time(NULL) + 2;
	if (rc < 0 || !bans_count(&b, soon))
		return rc;
	rc = nft_read_elems(&n->filter, "ban4", &four, err);
	if (rc == 0)
		rc = nft_read_elems(&n->filter, "ban6", &six, err);
	for (size_t i = 0; i < b.n && rc == 0; i++)
		missing += b.v[i].until > soon &&
			   !is_in(b.v[i].net.addr.family == AF_INET ? &four : &six, &b.v[i]);
	if (missing)
		strv_addf(faults, "the firewall lacks %zu of the bans", missing);
	return rc;
}

/* ---- who may not be banned ---- */

static bool any(const struct ipnet *net, const char *const *list)
{
	for (; *list; list++) {
		struct ipnet other;

		if (ipnet_parse(*list, &other) == 0 && ipnet_overlap(net, &other))
			return true;
	}
	return false;
}

static bool is_except(const struct ipnet *net, const char *except)
{
	struct strv list autodone(strv_done) = {0};

	strv_split(&list, except ? except : "", " ,");
	strv_add(&list, "");
	return any(net, (const char *const *)list.v);
}

static bool is_jails(struct net *n, const struct ipnet *net, struct str *why, struct ng_err *err,
		     int *rc)
{
	struct record *r = NULL;
	size_t count = 0;
	bool found = false;

	for (size_t i = 0; i < n->nranges && !found; i++)
		for (size_t k = 0; k < n->range[i]->ngws && n->range[i]->ours && !found; k++)
			found = ipnet_overlap(net, &n->range[i]->gw[k]);
	if (found)
		str_add(why, "of a network of jails");
	*rc = state_all(n->state, &r, &count, err);
	for (size_t i = 0; i < count; i++) {
		for (int six = 0; six < 2; six++) {
			const struct strv *l = six ? &r[i].ip6 : &r[i].ip4;
			for (size_t k = 0; k < l->n && !found; k++) {
				struct ip ip;
				found = ip_parse(l->v[k], &ip) == 0 && ipnet_has(net, &ip);
				if (found)
					str_addf(why, "the address of jail \"%s\"", r[i].name);
			}
		}
		record_done(&r[i]);
	}
	free(r);
	return found;
}

static bool is_gateway(struct net *n, const struct ipnet *net)
{
	struct ip somewhere;
	struct rtnl_route route;
	struct ng_err none = {0};
	const char *text = net->addr.family == AF_INET ? "192.0.2.1" : "2001:db8:ffff::1";

	return ip_parse(text, &somewhere) == 0 &&
	       rtnl_lookup(&n->route, &somewhere, &route, &none) == 0 && route.via.family &&
	       ipnet_has(net, &route.via);
}

int ban_refused(struct net *n, const struct ipnet *net, const char *except, struct str *why,
		struct ng_err *err)
{
	static const char *const nowhere[] = {"0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3", "::/64",
					      "fe80::/10", "ff00::/8",    NULL};
	int rc;

	if (is_except(net, except))
		str_add(why, "among those that are never banned (ban.except)");
	else if (any(net, nowhere))
		str_add(why, "no address that anybody comes from");
	else if (is_jails(n, net, why, err, &rc) || rc < 0)
		return rc < 0 ? rc : 1;
	for (size_t i = 0; i < n->host->naddrs && !why->len; i++)
		if (ipnet_has(net, &n->host->addr[i].net.addr))
			str_add(why, "this host's own");
	if (!why->len && is_gateway(n, net))
		str_add(why, "the router by which this host reaches the internet");
	return why->len > 0;
}
