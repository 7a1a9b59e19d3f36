#include "host/dns.h"

#include <stdio.h>
#include <strings.h>
#include "base/file.h"
#include "base/mem.h"
#include "host/dkim.h"

#define POLICY HOST_ETC "/web/mta-sts.txt"

void dns_done(struct dns *r)
{
	for (size_t i = 0; i < r->n; i++) {
		free(r->v[i].zone);
		free(r->v[i].name);
		free(r->v[i].data);
		free(r->v[i].why);
		free(r->v[i].remedy);
	}
	free(r->v);
	free(r->policy_fault);
	*r = (struct dns){0};
}

const char *dns_state_text(enum dns_state s)
{
	static const char *const text[] = {"unseen", "fine", "missing", "wrong", "unknown"};

	return text[s];
}

const char *dns_type_text(const struct dns_record *r)
{
	return r->what == DNS_HELO ? "HELO" : lookup_type_text(r->type);
}

/* ---- what is wanted ---- */

struct plan {
	const struct host *h;
	const struct host_lists *l;
	struct dns *out;
	struct str sts; /* what the record of MTA-STS says */
};

static void plan_done(struct plan *p)
{
	str_done(&p->sts);
}

/* The longest of our domains that the name is below of; where it is of none, the one above it. */
static char *zone_of(const struct host_lists *l, const char *name)
{
	for (const char *at = name; at; at = strchr(at, '.')) {
		at += *at == '.';
		if (host_entry(l, LIST_DOMAINS, at) >= 0)
			return mem_strdup(at);
	}
	const char *above = strchr(name, '.');
	return mem_strdup(above && strchr(above + 1, '.') ? above + 1 : name);
}

PRINTF(5, 6)
static void want(struct plan *p, enum dns_what what, enum lookup_type type, const char *name,
		 const char *fmt, ...)
{
	struct str data autodone(str_done) = {0};
	struct dns_record *r;
	va_list ap;

	if (fmt) {
		va_start(ap, fmt);
		str_vaddf(&data, fmt, ap);
		va_end(ap);
	}
	p->out->v = mem_grow(p->out->v, p->out->n, sizeof(*p->out->v));
	r = &p->out->v[p->out->n++];
	*r = (struct dns_record){.what = what,
				 .type = type,
				 .zone = zone_of(p->l, name),
				 .name = mem_strdup(name),
				 .data = fmt ? str_take(&data) : NULL};
}

/* Of a family in which the host has no address, a name must have none either. */
static void want_addresses(struct plan *p, enum dns_what what, const char *name)
{
	want(p, what, LOOKUP_A, name, p->h->address4 ? "%s" : NULL, p->h->address4);
	want(p, what, LOOKUP_AAAA, name, p->h->address6 ? "%s" : NULL, p->h->address6);
}

PRINTF(2, 3) static char *name_of(const char *domain, const char *fmt, ...)
{
	struct str name = {0};
	va_list ap;

	va_start(ap, fmt);
	str_vaddf(&name, fmt, ap);
	va_end(ap);
	str_addf(&name, ".%s", domain);
	return str_take(&name);
}

/* What the authority calls itself in CAA records, by its directory. */
static const char *authority(const char *directory)
{
	static const struct {
		const char *host, *name;
	} known[] = {{"letsencrypt.org/", "letsencrypt.org"},
		     {"zerossl.com/", "sectigo.com"},
		     {"pki.goog/", "pki.goog"},
		     {"buypass.com/", "buypass.com"}};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strstr(directory, known[i].host))
			return known[i].name;
	return NULL;
}

static int want_of_domain(struct plan *p, const char *domain, struct ng_err *err)
{
	static const struct {
		const char *service;
		unsigned port;
	} srv[] = {{"_imaps", 993},
		   {"_submissions", 465},
		   {"_submission", 587},
		   {"_sieve", 4190},
		   {"_autodiscover", 443}};
	const char *ca = authority(p->h->acme);
	autofree char *key = NULL, *selector = name_of(domain, DKIM_SELECTOR "._domainkey"),
		      *dmarc = name_of(domain, "_dmarc"), *sts = name_of(domain, "_mta-sts"),
		      *tls = name_of(domain, "_smtp._tls");
	int rc = dkim_record(p->h, domain, &key, err);

	if (rc < 0)
		return rc;
	want(p, DNS_MX, LOOKUP_MX, domain, "10 %s", p->h->hostname);
	want(p, DNS_SPF, LOOKUP_TXT, domain, "v=spf1 mx -all");
	want(p, DNS_DKIM, LOOKUP_TXT, selector, "%s", key);
	want(p, DNS_DMARC, LOOKUP_TXT, dmarc, "v=DMARC1; p=quarantine; rua=mailto:postmaster@%s",
	     domain);
	for (const char *const *web = host_web_names; *web; web++) {
		autofree char *name = name_of(domain, "%s", *web);
		want_addresses(p, DNS_WEB, name);
	}
	want(p, DNS_STS, LOOKUP_TXT, sts, "%s", str_text(&p->sts));
	want(p, DNS_TLSRPT, LOOKUP_TXT, tls, "v=TLSRPTv1; rua=mailto:postmaster@%s", domain);
	for (size_t i = 0; i < ARRAY_SIZE(srv); i++) {
		autofree char *name = name_of(domain, "%s._tcp", srv[i].service);
		want(p, DNS_SRV, LOOKUP_SRV, name, "0 1 %u %s", srv[i].port, p->h->hostname);
	}
	if (ca)
		want(p, DNS_CAA, LOOKUP_CAA, domain, "0 issue %s", ca);
	return 0;
}

static void want_of_host(struct plan *p)
{
	const char *const addresses[] = {p->h->address4, p->h->address6};

	want_addresses(p, DNS_HOST, p->h->hostname);
	if (host_entry(p->l, LIST_DOMAINS, p->h->hostname) < 0)
		want(p, DNS_SPF, LOOKUP_TXT, p->h->hostname, "v=spf1 a -all");
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		struct ip ip;

		if (!addresses[i] || ip_parse(addresses[i], &ip) < 0)
			continue;
		autofree char *name = lookup_reverse(&ip, NULL);
		want(p, DNS_PTR, LOOKUP_PTR, name, "%s", p->h->hostname);
	}
	want(p, DNS_HELO, LOOKUP_A, p->h->hostname, "%s", p->h->hostname);
	/* They belong to the host, wherever they stand. */
	for (size_t i = 0; i < p->out->n; i++) {
		free(p->out->v[i].zone);
		p->out->v[i].zone = zone_of(p->l, p->h->hostname);
	}
}

/* Sites that are not among the names already. */
static void want_of_sites(struct plan *p)
{
	autofree char *site = NULL;
	const char *rest;

	for (size_t i = 0; host_next(p->l, LIST_SITES, &i, &site, &rest);) {
		bool there = false;

		for (size_t k = 0; k < p->out->n && !there; k++)
			there = p->out->v[k].type == LOOKUP_A &&
				strcasecmp(p->out->v[k].name, site) == 0;
		if (!there)
			want_addresses(p, DNS_WEB, site);
	}
}

/* ---- the policy of MTA-STS ---- */

/* FNV-1a: any change of the text is another number, on every machine the same. */
static unsigned long long sum_of(const char *text)
{
	unsigned long long sum = 0xcbf29ce484222325;

	for (; *text; text++)
		sum = (sum ^ (unsigned char)*text) * 0x100000001b3;
	return sum;
}

/* Is the mail host among those that the policy names? */
static bool policy_names(const char *text, const char *hostname)
{
	struct strv line autodone(strv_done) = {0};

	strv_split(&line, text, "\r\n");
	for (size_t i = 0; i < line.n; i++) {
		const char *mx = line.v[i] + 3;
		if (!str_prefix(line.v[i], "mx:"))
			continue;
		mx += strspn(mx, " \t");
		const char *below = strchr(hostname, '.');
		if (strcasecmp(mx, hostname) == 0 ||
		    (str_prefix(mx, "*.") && below && strcasecmp(mx + 1, below) == 0))
			return true;
	}
	return false;
}

static int read_policy(struct plan *p, struct ng_err *err)
{
	autofree char *path = host_path(p->h, POLICY), *text = NULL;
	size_t len;
	int rc = file_read(path, &text, &len);

	if (rc == -ENOENT)
		return err_set(err, ENOENT, "%s is missing: newgate host apply", POLICY);
	if (rc < 0)
		return err_sys(err, rc, "%s", path);
	str_addf(&p->sts, "v=STSv1; id=%016llx", sum_of(text));
	if (!policy_names(text, p->h->hostname)) {
		struct str fault = {0};
		str_addf(&fault, "the policy in " POLICY " has no line \"mx: %s\"", p->h->hostname);
		p->out->policy_fault = str_take(&fault);
	}
	return 0;
}

int dns_of(const struct host *h, const struct host_lists *l, struct dns *out, struct ng_err *err)
{
	struct plan p autodone(plan_done) = {.h = h, .l = l, .out = out};
	autofree char *domain = NULL;
	const char *rest;
	int rc = read_policy(&p, err);

	if (rc == 0)
		want_of_host(&p);
	for (size_t i = 0; rc == 0 && host_next(l, LIST_DOMAINS, &i, &domain, &rest);)
		rc = want_of_domain(&p, domain, err);
	if (rc == 0)
		want_of_sites(&p);
	return rc;
}

/* ---- as a zone file ---- */

/* A string of a zone file has 255 bytes at most. */
static void add_strings(const char *data, struct str *out)
{
	size_t n = 0;

	str_addc(out, '"');
	for (; *data; data++, n++) {
		if (n && n % 255 == 0)
			str_add(out, "\" \"");
		if (*data == '"' || *data == '\\')
			str_addc(out, '\\');
		str_addc(out, *data);
	}
	str_addc(out, '"');
}

static void add_data(const struct dns_record *r, const char *data, struct str *out)
{
	const char *value = strrchr(data, ' ');

	switch (r->type) {
	case LOOKUP_TXT:
		add_strings(data, out);
		break;
	case LOOKUP_CAA:
		str_addf(out, "%.*s \"%s\"", (int)(value - data), data, value + 1);
		break;
	case LOOKUP_MX:
	case LOOKUP_SRV:
	case LOOKUP_PTR:
		str_addf(out, "%s.", data);
		break;
	default:
		str_add(out, data);
	}
}

void dns_line(const struct dns_record *r, const char *data, struct str *out)
{
	str_addf(out, "%s. %s ", r->name, dns_type_text(r));
	add_data(r, data, out);
}

/* "@", "mail": the name as it stands below $ORIGIN. */
static void add_name(const struct dns_record *r, struct str *out)
{
	size_t name = strlen(r->name), zone = strlen(r->zone);
	struct str s autodone(str_done) = {0};

	if (name == zone)
		str_add(&s, "@");
	else
		str_addn(&s, r->name, name - zone - 1);
	str_addf(out, "%-22s ", s.s);
}

static void add_zone(const struct dns *r, const char *zone, struct str *out)
{
	str_addf(out, "%s$ORIGIN %s.\n$TTL 3600\n", out->len ? "\n" : "", zone);
	for (size_t i = 0; i < r->n; i++) {
		const struct dns_record *one = &r->v[i];

		if (!str_eq(one->zone, zone) || !one->data || one->what == DNS_HELO)
			continue;
		if (one->what == DNS_PTR) {
			str_add(out, "; the provider of the address sets: ");
			dns_line(one, one->data, out);
		} else {
			add_name(one, out);
			str_addf(out, "%-5s ", dns_type_text(one));
			add_data(one, one->data, out);
		}
		str_addc(out, '\n');
	}
}

void dns_zone(const struct dns *r, const char *domain, struct str *out)
{
	struct strv done autodone(strv_done) = {0};

	for (size_t i = 0; i < r->n; i++) {
		const char *zone = r->v[i].zone;

		if (strv_has(&done, zone) || (domain && !str_eq(zone, domain)))
			continue;
		strv_add(&done, zone);
		add_zone(r, zone, out);
	}
}
