/* The mail host of `newgate host`: its address, its names, its certificate. */
#include <inttypes.h>
#include <time.h>
#include "base/mem.h"
#include "doctor/mail.h"
#include "host/cert.h"
#include "host/dns.h"

#define DAY 86400

bool mail_host_read(const struct doctor *d, struct mail_host *m, struct ng_err *err)
{
	*m = (struct mail_host){0};
	return host_settings_read(&m->h, d->root, err) == 0 &&
	       host_lists_read(&m->h, &m->l, err) == 0;
}

void mail_host_done(struct mail_host *m)
{
	host_lists_done(&m->l);
	host_settings_done(&m->h);
}

/* ---- its address ---- */

/* What letters leave with: the jail's nat.source, else what the host would take itself. */
static bool leaves_with(const struct doctor *d, int family, struct ip *out)
{
	const struct gather_jail *j = gather_find(d->gather, "postfix");
	size_t n = 0;
	const struct conf_value *source =
	    j && j->block ? conf_list(&j->conf, P_NAT_SOURCE, &n) : NULL;

	for (size_t i = 0; i < n; i++)
		if (ip_parse(source[i].text, out) == 0 && out->family == family)
			return true;
	return mail_source(family, out);
}

static void check_address(struct doctor *d, const char *key, const char *text, int family)
{
	struct finding *f;
	struct ip ip, from;
	char leaves[IP_TEXT];

	if (!text || ip_parse(text, &ip) < 0)
		return;
	if (ip_is_private(&ip)) {
		f = found(d, DOCTOR_HINDERS, "%s is a private address: nobody reaches it", text);
		because(f, "the DNS is to lead the internet to this host, by the address that the "
			   "provider translates to that one");
		mend(f, "# in " HOST_CONF ": %s = the public address; then: newgate host apply",
		     key);
		return;
	}
	if (!leaves_with(d, family, &from) || ip_is_private(&from) || ip_eq(&from, &ip))
		return;
	ip_text(&from, leaves);
	f = found(d, DOCTOR_HINDERS, "letters leave with %s, but the DNS names %s", leaves, text);
	because(f, "receivers refuse them: neither SPF nor the PTR record fits");
	mend(f, "# in " HOST_JAILS ", jail postfix: nat.source += %s; then: newgate up postfix",
	     text);
}

void check_mail_address(struct doctor *d)
{
	struct mail_host m autodone(mail_host_done) = {0};
	struct ng_err err = {0};

	if (!mail_host_read(d, &m, &err)) {
		mend(not_examined(d, &err),
		     err.code == ENOENT ? "newgate host init DOMAIN" : "newgate host diff");
		return;
	}
	check_address(d, "address4", m.h.address4, AF_INET);
	check_address(d, "address6", m.h.address6, AF_INET6);
}

/* ---- its names ---- */

/* What comes of it; NULL: mail arrives all the same. */
static const char *consequence(enum dns_what what)
{
	switch (what) {
	case DNS_HOST:
		return "MX records lead there: letters do not arrive, or to the wrong host";
	case DNS_MX:
		return "letters to the domain go nowhere, or to somebody else";
	case DNS_SPF:
		return "receivers refuse the letters that its users send, or file them as spam";
	case DNS_DKIM:
		return "nobody can tell that letters are signed, and DMARC throws them out";
	case DNS_PTR:
	case DNS_HELO:
		return "receivers refuse letters from an address whose PTR record and HELO differ";
	default:
		return NULL;
	}
}

static void tell_record(struct doctor *d, const struct dns_record *r)
{
	struct finding *f = found(d, DOCTOR_HINDERS, "%s %s %s", r->name, dns_type_text(r), r->why);

	because(f, "%s", consequence(r->what));
	mend(f, "# %s", r->remedy);
}

void check_mail_dns(struct doctor *d)
{
	struct mail_host m autodone(mail_host_done) = {0};
	struct dns r autodone(dns_done) = {0};
	struct ng_err err = {0};
	struct finding *f;
	size_t others = 0;

	if (!mail_host_read(d, &m, &err))
		return;
	struct resolver dns = {lookup_ask, m.h.root};
	if (dns_of(&m.h, &m.l, &r, &err) < 0) {
		mend(not_examined(d, &err), "newgate host diff");
		return;
	}
	(void)dns_check(&m.h, &r, NULL, &dns);
	for (size_t i = 0; i < r.n; i++) {
		const struct dns_record *one = &r.v[i];

		if (one->state == DNS_UNKNOWN) {
			f = found(d, DOCTOR_HINDERS, "%s", one->why);
			because(f, "without the DNS letters neither leave nor arrive");
			mend(f, "newgate host dns --check");
			return;
		}
		if (one->state != DNS_FINE && consequence(one->what))
			tell_record(d, one);
		else
			others += one->state != DNS_FINE;
	}
	if (!others)
		return;
	f = found(d, DOCTOR_ADVICE, "%zu other DNS record%s missing or wrong", others,
		  others == 1 ? " is" : "s are");
	because(f, "letters arrive without them; mail programs set themselves up by some, and by "
		   "others mail hosts know what to think of forgeries");
	mend(f, "newgate host dns --check");
}

/* ---- its certificate ---- */

void check_mail_certificate(struct doctor *d)
{
	struct mail_host m autodone(mail_host_done) = {0};
	struct cert c autodone(cert_done) = {0};
	struct ng_err err = {0};
	struct finding *f = NULL;
	time_t now = time(NULL);

	if (!mail_host_read(d, &m, &err))
		return;
	autofree char *path = host_path(&m.h, HOST_ETC "/tls/fullchain.pem");
	if (cert_read(path, &c, &err) < 0) {
		mend(not_examined(d, &err), "newgate host renew");
		return;
	}
	if (c.until <= now)
		f = found(d, DOCTOR_HINDERS, "the certificate of %s has expired", m.h.hostname);
	else if (!cert_covers(&c, m.h.hostname))
		f = found(d, DOCTOR_HINDERS, "the certificate is not one of %s", m.h.hostname);
	else if (c.own)
		f = found(d, DOCTOR_HINDERS, "nobody vouches for the certificate of %s",
			  m.h.hostname);
	else if (cert_due(&c, now))
		f = found(d, DOCTOR_ADVICE, "the certificate of %s ends in %" PRId64 " days",
			  m.h.hostname, (int64_t)(c.until - now) / DAY);
	if (!f)
		return;
	because(f, "mail programs and browsers refuse it or warn of it, and mail hosts that go by "
		   "MTA-STS send nothing");
	mend(f, "newgate host renew");
}

/* ---- its postmaster ---- */

static bool gets_mail(const struct host_lists *l, const char *name, const char *domain)
{
	struct str address autodone(str_done) = {0};

	str_addf(&address, "%s@%s", name, domain);
	return host_entry(l, LIST_USERS, address.s) >= 0 ||
	       host_entry(l, LIST_ALIASES, address.s) >= 0;
}

void check_mail_postmaster(struct doctor *d)
{
	struct mail_host m autodone(mail_host_done) = {0};
	struct ng_err err = {0};
	autofree char *domain = NULL, *user = NULL;
	const char *rest;
	size_t first = 0;

	if (!mail_host_read(d, &m, &err))
		return;
	host_next(&m.l, LIST_USERS, &first, &user, &rest);
	for (size_t i = 0; host_next(&m.l, LIST_DOMAINS, &i, &domain, &rest);) {
		if (gets_mail(&m.l, "postmaster", domain) || gets_mail(&m.l, "", domain))
			continue;
		struct finding *f =
		    found(d, DOCTOR_ADVICE, "postmaster@%s is nobody's address", domain);
		because(f, "others write there of what is wrong, and the records of DMARC and "
			   "TLS-RPT say that reports go there");
		mend(f, "newgate host alias add postmaster@%s %s", domain, user ? user : "ADDRESS");
	}
}
