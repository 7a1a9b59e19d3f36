#include "host/acme.h"

#include <stdio.h>
#include <strings.h>
#include <unistd.h>
#include "base/ip.h"
#include "base/num.h"
#include "host/lookup.h"

static void add_once(struct strv *out, const char *name)
{
	for (size_t i = 0; i < out->n; i++)
		if (strcasecmp(out->v[i], name) == 0)
			return;
	strv_add(out, name);
}

void acme_names(const struct host *h, const struct host_lists *l, struct strv *out)
{
	autofree char *key = NULL;
	const char *rest;

	add_once(out, h->hostname);
	for (size_t i = 0; host_next(l, LIST_SITES, &i, &key, &rest);) {
		autofree char *own = host_path(h, HOST_ETC "/tls/%s/fullchain.pem", key);

		if (access(own, F_OK) < 0)
			add_once(out, key);
	}
	for (const char *const *below = host_web_names; *below; below++)
		for (size_t i = 0; host_next(l, LIST_DOMAINS, &i, &key, &rest);) {
			struct str name autodone(str_done) = {0};

			str_addf(&name, "%s.%s", *below, key);
			add_once(out, name.s);
		}
}

static bool is_ours(const struct host *h, const char *text)
{
	const char *const ours[] = {h->address4, h->address6};
	struct ip a, b;

	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		if (ours[i] && ip_parse(ours[i], &a) == 0 && ip_parse(text, &b) == 0 &&
		    ip_eq(&a, &b))
			return true;
	return false;
}

int acme_leads_here(const struct host *h, const char *name, struct ng_err *err)
{
	struct strv found autodone(strv_done) = {0};
	const enum lookup_type types[] = {LOOKUP_A, LOOKUP_AAAA};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		int rc = lookup(h->root, types[i], name, &found, err);

		if (rc < 0 && rc != -ENOENT)
			return rc;
	}
	if (!found.n)
		return err_set(err, ENOENT, "%s has no address in the DNS", name);
	for (size_t i = 0; i < found.n; i++)
		if (!is_ours(h, found.v[i]))
			return err_set(err, EADDRNOTAVAIL, "%s leads to %s, which is not this host",
				       name, found.v[i]);
	return 0;
}

bool acme_needed(const struct cert *c, const struct strv *names, time_t now, struct str *why)
{
	if (!c) {
		str_add(why, "there is none");
		return true;
	}
	if (c->own) {
		str_add(why, "nobody vouches for the one in place");
		return true;
	}
	for (size_t i = 0; i < names->n; i++)
		if (!cert_covers(c, names->v[i])) {
			str_addf(why, "the one in place is not for %s", names->v[i]);
			return true;
		}
	if (cert_due(c, now))
		str_addf(why, "the one in place %s",
			 c->until <= now ? "is no longer valid" : "ends soon");
	return cert_due(c, now);
}

void acme_ports(const struct host *h, struct str *out)
{
	const char *p = strstr(h->acme, "://");
	struct str port autodone(str_done) = {0};
	uint32_t number;

	p = p ? p + 3 : h->acme;
	/* The colons of an IPv6 address stand in brackets. */
	if (*p == '[')
		p += strcspn(p, "]");
	p += strcspn(p, ":/?#");
	if (*p == ':')
		str_addn(&port, p + 1, strcspn(p + 1, "/?#"));
	str_add(out, "443");
	if (num_u32(str_text(&port), 1, 65535, &number) == 0 && number != 443)
		str_addf(out, " %u", number);
}

const char *acme_remedy(const char *said)
{
	static const struct {
		const char *said, *remedy;
	} known[] = {
	    {"SSL peer certificate",
	     "its own certificate is signed by somebody whom Debian does not "
	     "know: acme.ca in " HOST_CONF " names a file of who it is"},
	    {"rateLimited", "it was asked too often: it tells above from when on it may be asked "
			    "again"},
	    {"acme:error:unauthorized", "http://NAME/.well-known/acme-challenge/ must lead to this "
					"host: has NAME another web server?"},
	    {"acme:error:connection", "it must reach port 80 of this host: is there a firewall "
				      "before it, and does jail web run?"},
	    {"acme:error:dns", "its name servers must know the names: newgate host dns --check"},
	    {"acme:error:caa", "the DNS forbids it by a CAA record: newgate host dns --check"},
	    {"acme:error:invalidContact", "it does not take `contact` of " HOST_CONF},
	    {"externalAccount", "it wants accounts that were made elsewhere, which newgate cannot "
				"give it: choose another authority"},
	    {"no answer in", "it took too long: newgate host renew tries again"},
	    {"failed to fetch directory",
	     "is `acme` in " HOST_CONF " its address, and can it be reached from here?"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strstr(said, known[i].said))
			return known[i].remedy;
	return "newgate-host(8) tells what it needs";
}
