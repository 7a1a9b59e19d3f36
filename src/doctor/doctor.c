#include "doctor/doctor.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/mem.h"
#include "base/num.h"
#include "doctor/check.h"
#include "sys/fd.h"

enum when { GENERAL = 1, OF_MAIL = 2 };

static const struct {
	const char *name, *about;
	check_fn *fn;
	unsigned when; /* 0: GENERAL */
} checks[] = {
    {"configuration", "faults in jail.conf and rc.conf", check_configuration},
    {"boot", "jails that are to run do, and start with the host", check_boot},
    {"kernel", "its version and modules", check_kernel},
    {"namespaces", "user namespaces and their limits", check_namespaces},
    {"cgroups", "cgroup v2 and its controllers", check_cgroups},
    {"clock", "the time of day", check_clock},
    {"idmap", "file systems that can map owners", check_idmap},
    {"disk", "space and inodes", check_disk},
    {"tools", "programs that newgate runs", check_tools},
    {"path", "jail, jls and jexec are newgate's", check_path},
    {"forwarding", "packets are forwarded, and stay so", check_forwarding},
    {"reverse-path", "the reverse-path filter of the host's interfaces", check_reverse_path},
    {"filter", "other firewalls that drop what jails send or get", check_filter},
    {"flush", "scripts that flush all tables", check_flush},
    {"ports", "processes of the host on redirected ports", check_ports, GENERAL | OF_MAIL},
    {"resolver", "name servers that jails can ask", check_resolver},
    {"ranges", "networks of jails that collide with others", check_ranges},
    {"mtu", "packet sizes of jails and the outside", check_mtu},
    {"neighbours", "room in the neighbour tables", check_neighbours},
    {"leftovers", "state of jails that no longer run", check_leftovers},
    {"mail-address", "the mail host's public address", check_mail_address, OF_MAIL},
    {"mail-dns", "names, PTR and other records", check_mail_dns, OF_MAIL},
    {"mail-out", "letters reach other mail servers", check_mail_out, OF_MAIL},
    {"mail-listed", "lists of sources of spam", check_mail_listed, OF_MAIL},
    {"mail-certificate", "who vouches for the mail host, and how long", check_mail_certificate,
     OF_MAIL},
    {"mail-postmaster", "somebody reads what other mail hosts write", check_mail_postmaster,
     OF_MAIL},
};

const char *doctor_level_text(enum doctor_level l)
{
	return l == DOCTOR_HINDERS ? "hinders" : "advice";
}

const char *doctor_check_name(size_t i)
{
	return i < ARRAY_SIZE(checks) ? checks[i].name : NULL;
}

const char *doctor_check_about(size_t i)
{
	return i < ARRAY_SIZE(checks) ? checks[i].about : NULL;
}

bool doctor_check_among(size_t i, const char *check)
{
	unsigned when = checks[i].when ? checks[i].when : GENERAL;

	if (check && str_eq(check, DOCTOR_MAIL))
		return when & OF_MAIL;
	return check ? str_eq(check, checks[i].name) : when & GENERAL;
}

int doctor_examine(struct doctor *d, const char *check)
{
	int rc = check ? -ENOENT : 0;
	for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
		size_t before = d->n;
		if (!doctor_check_among(i, check))
			continue;
		checks[i].fn(d);
		for (size_t k = before; k < d->n; k++)
			d->finding[k].check = checks[i].name;
		rc = 0;
	}
	return rc;
}

void doctor_done(struct doctor *d)
{
	for (size_t i = 0; i < d->n; i++) {
		free(d->finding[i].what);
		free(d->finding[i].why);
		strv_done(&d->finding[i].fix);
	}
	free(d->finding);
	d->finding = NULL;
	d->n = 0;
}

/* ---- findings ---- */

PRINTF(1, 0)
static char *text_of(const char *fmt, va_list ap)
{
	struct str text = {0};
	str_vaddf(&text, fmt, ap);
	return str_take(&text);
}

struct finding *found(struct doctor *d, enum doctor_level level, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	d->finding = mem_grow(d->finding, d->n, sizeof(*d->finding));
	struct finding *f = &d->finding[d->n++];
	*f = (struct finding){.level = level, .what = text_of(fmt, ap)};
	va_end(ap);
	return f;
}

void because(struct finding *f, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	free(f->why);
	f->why = text_of(fmt, ap);
	va_end(ap);
}

void mend(struct finding *f, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	strv_take(&f->fix, text_of(fmt, ap));
	va_end(ap);
}

struct finding *not_examined(struct doctor *d, const struct ng_err *err)
{
	struct finding *f = found(d, DOCTOR_ADVICE, "this could not be examined: %s", err->text);
	because(f, "what it would have found stays unknown");
	return f;
}

/* ---- looking ---- */

bool proc_read(const struct doctor *d, const char *path, char *buf, size_t size)
{
	struct str file autodone(str_done) = {0};
	str_addf(&file, "%s/%s", d->proc, path);
	if (fd_get(AT_FDCWD, file.s, buf, size) < 0)
		return false;
	buf[strcspn(buf, "\n")] = '\0';
	return true;
}

bool proc_number(const struct doctor *d, const char *path, uint64_t *out)
{
	char text[32];
	return proc_read(d, path, text, sizeof text) && num_u64(text, 0, UINT64_MAX, out) == 0;
}

bool has_family(const struct doctor *d, int family)
{
	enum param_id id = family == AF_INET ? P_IP4_ADDR : P_IP6_ADDR;
	for (size_t i = 0; i < d->gather->n; i++) {
		const struct gather_jail *j = &d->gather->jail[i];
		const struct strv *ips = !j->rec             ? NULL
					 : family == AF_INET ? &j->rec->ip4
							     : &j->rec->ip6;
		size_t n = 0;
		if (j->block)
			conf_list(&j->conf, id, &n);
		if (n || (ips && ips->n))
			return true;
	}
	return false;
}
