/* The records of a host beside those that the DNS has. */
#include <stdio.h>
#include <strings.h>
#include <time.h>
#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"
#include "host/dns.h"
#include "host/spf.h"

/* So long is waited for answers that do not come, in milliseconds: then no more is asked. */
#define PATIENCE 20000

struct live {
	const struct host *h;
	const struct dns *all;
	struct resolver given, dns; /* whom to ask; the same, with an eye on the clock */
	int64_t waited;
};

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int ask_timed(void *arg, enum lookup_type type, const char *name, struct strv *out,
		     struct ng_err *err)
{
	struct live *l = arg;
	int64_t since = now();
	int rc = l->given.ask(l->given.arg, type, name, out, err);

	if (rc == -EAGAIN)
		l->waited += now() - since;
	return rc;
}

/* ---- verdicts ---- */

PRINTF(3, 4)
static void judge(struct dns_record *r, enum dns_state state, const char *fmt, ...)
{
	struct str why = {0};
	va_list ap;

	va_start(ap, fmt);
	str_vaddf(&why, fmt, ap);
	va_end(ap);
	free(r->why);
	r->why = str_take(&why);
	r->state = state;
}

/* "add  LINE": what the DNS should say. */
static void remedy(struct dns_record *r, const char *verb, const char *data)
{
	struct str text = {0};

	str_addf(&text, "%s  ", verb);
	dns_line(r, data, &text);
	free(r->remedy);
	r->remedy = str_take(&text);
}

static void missing(struct dns_record *r)
{
	judge(r, DNS_MISSING, "is missing");
	remedy(r, "add", r->data);
}

PRINTF(2, 3) static void wrong(struct dns_record *r, const char *fmt, ...)
{
	struct str why = {0};
	va_list ap;

	va_start(ap, fmt);
	str_vaddf(&why, fmt, ap);
	va_end(ap);
	judge(r, DNS_WRONG, "%s", str_text(&why));
	str_done(&why);
	if (r->data)
		remedy(r, "make it", r->data);
}

/* The texts that the record's name has, those of TXT that begin with `prefix`; the verdict is there
 * already where it returns false. */
static bool look(struct live *l, struct dns_record *r, const char *prefix, struct strv *out)
{
	struct strv found autodone(strv_done) = {0};
	struct ng_err err = {0};
	int rc = l->dns.ask(l->dns.arg, r->type, r->name, &found, &err);

	r->state = DNS_FINE;
	for (size_t i = 0; i < found.n; i++)
		if (strncasecmp(found.v[i], prefix, strlen(prefix)) == 0)
			strv_add(out, found.v[i]);
	if (rc == -EAGAIN)
		judge(r, DNS_UNKNOWN, "%s", err.text);
	else if (!out->n && r->data)
		missing(r);
	return out->n > 0;
}

/* The same for what there may be one of. */
static bool look_one(struct live *l, struct dns_record *r, const char *prefix, struct strv *out)
{
	if (!look(l, r, prefix, out))
		return false;
	if (out->n == 1)
		return true;
	wrong(r, "is there %zu times, and there may be one: nobody goes by any", out->n);
	return false;
}

/* ---- each kind ---- */

static bool same_address(const char *a, const char *b)
{
	struct ip x, y;

	return ip_parse(a, &x) == 0 && ip_parse(b, &y) == 0 && ip_eq(&x, &y);
}

static void check_address(struct live *l, struct dns_record *r)
{
	struct strv found autodone(strv_done) = {0};

	if (!look(l, r, "", &found))
		return;
	for (size_t i = 0; i < found.n; i++) {
		if (r->data && same_address(found.v[i], r->data))
			continue;
		wrong(r, "is %s, which is not this host", found.v[i]);
		if (!r->data) {
			remedy(r, "remove", found.v[i]);
			return;
		}
	}
}

static void check_mx(struct live *l, struct dns_record *r)
{
	struct strv found autodone(strv_done) = {0};
	unsigned long best = 65536, ours = 65536;
	const char *first = NULL;

	if (!look(l, r, "", &found))
		return;
	for (size_t i = 0; i < found.n; i++) {
		char *name;
		unsigned long preference = strtoul(found.v[i], &name, 10);

		if (strcasecmp(++name, l->h->hostname) == 0 && preference < ours) {
			ours = preference;
		} else if (preference < best) {
			best = preference;
			first = name;
		}
	}
	if (ours > best && ours < 65536)
		wrong(r, "leads to %s before this host", first);
	else if (ours > best)
		wrong(r, "leads to %s and not to %s", first, l->h->hostname);
}

static const char *spf_says(enum spf of)
{
	return of == SPF_FAIL ? "forbids" : of == SPF_SOFTFAIL ? "suspects" : "says nothing of";
}

/* What there is, with "mx" (or "a") in it. */
static void spf_remedy(struct dns_record *r, const char *there)
{
	struct str better autodone(str_done) = {0};
	const char *term = r->data + strlen("v=spf1");

	str_addf(&better, "v=spf1%.*s%s", (int)(strrchr(term, ' ') - term), term,
		 there + strlen("v=spf1"));
	remedy(r, "make it", better.s);
}

static void check_spf(struct live *l, struct dns_record *r)
{
	const char *const address[] = {l->h->address4, l->h->address6};
	struct strv found autodone(strv_done) = {0};
	struct ng_err err = {0};

	if (!look_one(l, r, "v=spf1", &found))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(address); i++) {
		struct ip ip;

		if (!address[i] || ip_parse(address[i], &ip) < 0)
			continue;
		enum spf of = spf_of(&l->dns, r->name, &ip, &err);
		if (of == SPF_PASS)
			continue;
		if (of == SPF_UNKNOWN) {
			judge(r, DNS_UNKNOWN, "%s", err.text);
		} else if (of == SPF_BROKEN || of == SPF_NONE) {
			wrong(r, "is of no use: %s", err.text);
		} else {
			wrong(r, "\"%s\" %s %s", found.v[0], spf_says(of), address[i]);
			spf_remedy(r, found.v[0]);
		}
		return;
	}
}

char *dns_tag(const char *text, const char *tag)
{
	for (const char *p = text; *p; p += *p == ';') {
		size_t n = strcspn(p, ";"), blank = strspn(p, " \t");
		const char *equals = memchr(p, '=', n);
		size_t name = equals ? (size_t)(equals - p) : 0;

		while (name > blank && (p[name - 1] == ' ' || p[name - 1] == '\t'))
			name--;
		if (name > blank && name - blank == strlen(tag) &&
		    strncasecmp(p + blank, tag, name - blank) == 0) {
			struct str value = {0};
			for (const char *v = equals + 1; v < p + n; v++)
				if (*v != ' ' && *v != '\t')
					str_addc(&value, *v);
			return str_take(&value);
		}
		p += n;
	}
	return NULL;
}

static void check_dkim(struct live *l, struct dns_record *r)
{
	struct strv found autodone(strv_done) = {0};

	if (!look_one(l, r, "", &found))
		return;
	autofree char *wanted = dns_tag(r->data, "p"), *p = dns_tag(found.v[0], "p"),
		      *k = dns_tag(found.v[0], "k"), *t = dns_tag(found.v[0], "t");
	if (!p)
		wrong(r, "has no key: \"%s\"", found.v[0]);
	else if (!*p)
		wrong(r, "revokes the key");
	else if (!str_eq(p, wanted) || (k && strcasecmp(k, "rsa") != 0))
		wrong(r, "is another key than the one that this host signs with");
	else if (t && strchr(t, 'y'))
		wrong(r, "says \"t=y\": a test, whose signatures count for nothing");
}

static void check_dmarc(struct live *l, struct dns_record *r)
{
	struct strv found autodone(strv_done) = {0};

	if (!look_one(l, r, "v=DMARC1", &found))
		return;
	autofree char *p = dns_tag(found.v[0], "p");
	if (!p)
		wrong(r, "has no policy: \"%s\"", found.v[0]);
	else if (strcasecmp(p, "none") == 0)
		wrong(r, "lets everybody write in the domain's name: \"%s\"", found.v[0]);
	else if (strcasecmp(p, "quarantine") != 0 && strcasecmp(p, "reject") != 0)
		wrong(r, "has no such policy as p=%s", p);
}

static void check_sts(struct live *l, struct dns_record *r)
{
	struct strv found autodone(strv_done) = {0};

	if (!look_one(l, r, "v=STSv1", &found))
		return;
	autofree char *id = dns_tag(found.v[0], "id"), *wanted = dns_tag(r->data, "id");
	if (l->all->policy_fault) {
		judge(r, DNS_WRONG, "%s: nobody would send", l->all->policy_fault);
		r->remedy = mem_strdup("newgate host diff");
	} else if (!id || !str_eq(id, wanted)) {
		wrong(r, "has not the id of the policy as it is now, so that nobody looks at it "
			 "anew");
	}
}

static void check_tlsrpt(struct live *l, struct dns_record *r)
{
	struct strv found autodone(strv_done) = {0};

	if (!look_one(l, r, "v=TLSRPTv1", &found))
		return;
	autofree char *rua = dns_tag(found.v[0], "rua");
	if (!rua || !*rua)
		wrong(r, "names nobody to report to: \"%s\"", found.v[0]);
}

/* "PRIORITY WEIGHT PORT TARGET": port and target count. */
static const char *srv_target(const char *data)
{
	for (int i = 0; i < 2 && data; i++) {
		data = strchr(data, ' ');
		data += data != NULL;
	}
	return data ? data : "";
}

static void check_srv(struct live *l, struct dns_record *r)
{
	struct strv found autodone(strv_done) = {0};

	if (!look(l, r, "", &found))
		return;
	for (size_t i = 0; i < found.n; i++)
		if (strcasecmp(srv_target(found.v[i]), srv_target(r->data)) == 0)
			return;
	wrong(r, "leads to %s", srv_target(found.v[0]));
}

/* The nearest name upwards that has such records decides, and where none has any, everybody may. */
static void check_caa(struct live *l, struct dns_record *r)
{
	const char *ours = strrchr(r->data, ' ') + 1;
	bool issues = false;

	r->state = DNS_FINE;
	for (const char *name = r->name; name; name = strchr(name, '.')) {
		struct strv found autodone(strv_done) = {0};
		struct ng_err err = {0};

		name += *name == '.';
		int rc = l->dns.ask(l->dns.arg, LOOKUP_CAA, name, &found, &err);
		if (rc == -EAGAIN) {
			judge(r, DNS_UNKNOWN, "%s", err.text);
			return;
		}
		for (size_t i = 0; i < found.n; i++) {
			const char *tag = strchr(found.v[i], ' ');
			if (!tag || strncasecmp(tag, " issue ", 7) != 0)
				continue;
			size_t n = strcspn(tag + 7, "; ");
			issues = true;
			if (n == strlen(ours) && strncasecmp(tag + 7, ours, n) == 0)
				return;
		}
		if (!found.n)
			continue;
		if (issues)
			wrong(r, "of %s forbids %s to certify", name, ours);
		return;
	}
}

static void check_ptr(struct live *l, struct dns_record *r)
{
	struct strv found autodone(strv_done) = {0};

	if (look(l, r, "", &found)) {
		for (size_t i = 0; i < found.n; i++)
			if (strcasecmp(found.v[i], r->data) == 0)
				return;
		wrong(r, "is %s, and receivers want it to be what postfix calls itself",
		      found.v[0]);
	}
	if (r->state != DNS_UNKNOWN)
		remedy(r, "ask the provider of the address for", r->data);
}

/* main.cf is the user's to change. The last line of a parameter holds. */
static char *helo(const struct host *h)
{
	autofree char *path = host_path(h, HOST_ETC "/postfix/main.cf"), *text = NULL;
	struct strv line autodone(strv_done) = {0};
	char *name = NULL;
	size_t len;

	if (file_read(path, &text, &len) < 0)
		return NULL;
	strv_split(&line, text, "\n");
	for (size_t i = 0; i < line.n; i++) {
		struct strv word autodone(strv_done) = {0};

		strv_split(&word, line.v[i], " \t=");
		if (word.n < 2 ||
		    (!str_eq(word.v[0], "myhostname") && !str_eq(word.v[0], "smtp_helo_name")) ||
		    *word.v[1] == '$')
			continue;
		free(name);
		name = mem_strdup(word.v[1]);
	}
	return name;
}

static void check_helo(struct live *l, struct dns_record *r)
{
	autofree char *name = helo(l->h);

	r->state = DNS_FINE;
	if (name && strcasecmp(name, l->h->hostname) == 0)
		return;
	judge(r, DNS_WRONG, "of postfix is %s, which is not what the PTR record names",
	      name ? name : "not set");
	struct str text = {0};
	str_addf(&text, "set  myhostname = %s  in " HOST_ETC "/postfix/main.cf", l->h->hostname);
	r->remedy = str_take(&text);
}

size_t dns_check(const struct host *h, struct dns *r, const char *domain,
		 const struct resolver *dns)
{
	static void (*const check[])(struct live *, struct dns_record *) = {
	    [DNS_HOST] = check_address, [DNS_WEB] = check_address,   [DNS_MX] = check_mx,
	    [DNS_SPF] = check_spf,      [DNS_DKIM] = check_dkim,     [DNS_DMARC] = check_dmarc,
	    [DNS_STS] = check_sts,      [DNS_TLSRPT] = check_tlsrpt, [DNS_SRV] = check_srv,
	    [DNS_CAA] = check_caa,      [DNS_PTR] = check_ptr,       [DNS_HELO] = check_helo,
	};
	struct live l = {.h = h, .all = r, .given = *dns};
	size_t bad = 0;

	l.dns = (struct resolver){ask_timed, &l};
	for (size_t i = 0; i < r->n; i++) {
		struct dns_record *one = &r->v[i];

		if (domain && !str_eq(one->zone, domain))
			continue;
		if (l.waited < PATIENCE)
			check[one->what](&l, one);
		bad += one->state != DNS_FINE;
	}
	return bad;
}
