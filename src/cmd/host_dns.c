/* newgate host dns: the records that the domains of the host need, and which of them are there. */
#include <getopt.h>
#include <stdio.h>

#include "cmd/cmd.h"
#include "cmd/hosting.h"
#include "host/dns.h"

#define SHOWN_UNKNOWN 3

/* Is there anything to say of it where nothing was compared? */
static bool is_record(const struct dns_record *r)
{
	return r->data && r->what != DNS_HELO;
}

static bool is_asked_for(const struct dns_record *r, const char *domain)
{
	return !domain || str_eq(r->zone, domain);
}

static int tell_json(const struct dns *r, const char *domain, bool check)
{
	struct output *o = output_open(stdout, true, "records");

	for (size_t i = 0; i < r->n; i++) {
		const struct dns_record *one = &r->v[i];

		if (!is_asked_for(one, domain) || (!check && !is_record(one)))
			continue;
		output_row(o);
		output_str(o, "domain", "", one->zone);
		output_str(o, "name", "", one->name);
		output_str(o, "type", "", dns_type_text(one));
		output_str(o, "value", "", one->data);
		if (!check)
			continue;
		output_str(o, "state", "", dns_state_text(one->state));
		output_str(o, "why", "", one->why);
		output_str(o, "remedy", "", one->remedy);
	}
	return output_close(o) < 0;
}

/* What others wrote into the DNS is quoted in it. */
static void tell_one(const struct dns_record *r)
{
	struct str line autodone(str_done) = {0}, visible autodone(str_done) = {0};

	str_addf(&line, "%-8s ", dns_state_text(r->state));
	/* Where nobody answered, why begins with what was asked. */
	if (r->state == DNS_UNKNOWN)
		str_add(&line, r->why);
	else
		str_addf(&line, "%s %s", r->name, dns_type_text(r));
	if (r->state == DNS_WRONG)
		str_addf(&line, " %s", r->why);
	if (r->remedy)
		str_addf(&line, "; %s", r->remedy);
	str_add_visible(&visible, line.s);
	puts(visible.s);
}

/* One line each of what is not as it should be. Where nobody answers, a few tell of all. */
static void tell_check(const struct dns *r, const char *domain)
{
	size_t fine = 0, all = 0, unknown = 0;

	for (size_t i = 0; i < r->n; i++) {
		const struct dns_record *one = &r->v[i];

		if (!is_asked_for(one, domain))
			continue;
		all++;
		fine += one->state == DNS_FINE;
		unknown += one->state == DNS_UNKNOWN || one->state == DNS_UNSEEN;
		if (one->state == DNS_MISSING || one->state == DNS_WRONG ||
		    (one->state == DNS_UNKNOWN && unknown <= SHOWN_UNKNOWN))
			tell_one(one);
	}
	if (unknown > SHOWN_UNKNOWN)
		printf("unknown  %zu more, since no name server answered\n",
		       unknown - SHOWN_UNKNOWN);
	printf("%zu of %zu are as they should be\n", fine, all);
}

static int dns_with(struct hosting *g, bool check, bool json, const char *domain)
{
	struct dns r autodone(dns_done) = {0};
	struct resolver dns = {lookup_ask, g->h.root};
	struct str zone autodone(str_done) = {0};
	struct ng_err err = {0};
	bool known = !domain;
	size_t bad = 0;

	if (dns_of(&g->h, &g->l, &r, &err) < 0) {
		warn_msg("%s", err.text);
		return 1;
	}
	for (size_t i = 0; i < r.n && !known; i++)
		known = str_eq(r.v[i].zone, domain);
	if (!known) {
		warn_msg("%s is no domain of this host: newgate host domain list", domain);
		return 1;
	}
	if (check)
		bad = dns_check(&g->h, &r, domain, &dns);
	if (json)
		return tell_json(&r, domain, check) || bad > 0;
	if (check) {
		tell_check(&r, domain);
	} else {
		dns_zone(&r, domain, &zone);
		fputs(str_text(&zone), stdout);
	}
	return bad > 0;
}

int host_dns(int argc, char **argv)
{
	static const struct option longs[] = {
	    {"check", no_argument, NULL, 'c'}, {"json", no_argument, NULL, 'j'}, {0}};
	struct hosting g autodone(hosting_done) = HOSTING_NONE;
	bool check = false, json = false;
	autofree char *domain = NULL;
	const char *why;

	for (int opt; (opt = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
		if (opt != 'c' && opt != 'j')
			return host_usage();
		check |= opt == 'c';
		json |= opt == 'j';
	}
	if (argc - optind > 1)
		return host_usage();
	if (optind < argc && !(domain = host_domain(argv[optind], &why))) {
		warn_msg("\"%s\" %s", argv[optind], why);
		return 1;
	}
	if (hosting_open(&g, false))
		return 1;
	return dns_with(&g, check, json, domain);
}
