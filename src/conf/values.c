/* The checks of one jail: every value by its type and its own small language, then the values that
 * must agree with one another. */
#include <arpa/inet.h>
#include <limits.h>
#include <string.h>
#include <strings.h>

#include "base/num.h"
#include "base/str.h"
#include "conf/resolve.h"
#include "conf/value.h"

#define IFNAME_MAX 15
#define HOSTNAME_MAX_LEN 64 /* Linux's; FreeBSD's is 255 */
#define NAME_MAX_LEN 200    /* records and sockets are files called after the jail */

struct checker {
	struct conf_jail *jail;
	struct diags *diags;
};

PRINTF(3, 4)
static void fault(struct checker *k, struct pos pos, const char *fmt, ...)
{
	struct str text = {0};
	va_list ap;
	va_start(ap, fmt);
	str_vaddf(&text, fmt, ap);
	va_end(ap);
	diag_error_of(k->diags, k->jail->block, pos, "%s", str_text(&text));
	str_done(&text);
}

static const struct conf_value *last_value(const struct conf_setting *s)
{
	return s->nvalues ? &s->value[s->nvalues - 1] : NULL;
}

/* By type. */

static bool is_number(const char *s)
{
	int64_t n;
	return num_i64(s + (*s == '+'), INT64_MIN, INT64_MAX, &n) == 0;
}

static bool check_bool(struct checker *k, const struct conf_setting *s)
{
	const struct conf_value *v = last_value(s);
	if (!v || strcasecmp(v->text, "true") == 0 || strcasecmp(v->text, "false") == 0 ||
	    is_number(v->text))
		return true;
	fault(k, v->pos, "%s: unknown boolean value \"%s\" (true or false)", s->name, v->text);
	return false;
}

static bool check_int(struct checker *k, const struct conf_setting *s)
{
	const struct param *p = param_get(s->id);
	const struct conf_value *v = last_value(s);
	int64_t n;
	if (!v) {
		fault(k, s->pos, "%s: a number is missing: %s = NUMBER;", s->name, s->name);
		return false;
	}
	switch (num_i64(v->text + (*v->text == '+'), p->min, p->max, &n)) {
	case 0:
		return true;
	case -ERANGE:
		fault(k, v->pos, "%s: %s is not within %ld to %ld", s->name, v->text, p->min,
		      p->max);
		return false;
	default:
		fault(k, v->pos, "%s: non-integer value \"%s\" (a whole number, %ld to %ld)",
		      s->name, v->text, p->min, p->max);
		return false;
	}
}

static bool check_sys(struct checker *k, const struct conf_setting *s)
{
	const struct conf_value *v = last_value(s);
	bool vnet = s->id == P_VNET;
	if (!v || strcasecmp(v->text, "new") == 0 || strcasecmp(v->text, "inherit") == 0 ||
	    (!vnet && strcasecmp(v->text, "disable") == 0))
		return true;
	fault(k, v->pos, "%s: \"%s\" is not %snew or inherit", s->name, v->text,
	      vnet ? "" : "disable, ");
	return false;
}

static bool check_string(struct checker *k, const struct conf_setting *s)
{
	if (s->nvalues)
		return true;
	fault(k, s->pos, "%s: a value is missing: %s = \"TEXT\";", s->name, s->name);
	return false;
}

static bool check_type(struct checker *k, const struct conf_setting *s)
{
	switch (param_get(s->id)->type) {
	case PT_BOOL:
		return check_bool(k, s);
	case PT_INT:
		return check_int(k, s);
	case PT_SYS:
		return check_sys(k, s);
	case PT_STRING:
		return check_string(k, s);
	default:
		return true;
	}
}

/* By parameter. Scalars are checked by their last value, the only one that counts; lists by each.
 */

static void check_absolute(struct checker *k, const struct conf_setting *s,
			   const struct conf_value *v)
{
	/* "path P: not an absolute pathname", as FreeBSD says it. */
	if (*v->text && *v->text != '/' && !(s->id == P_PATH && s->argument))
		fault(k, v->pos, "%s %s: not an absolute pathname (begin it with \"/\")", s->name,
		      v->text);
}

static void check_variable(struct checker *k, const struct conf_setting *s,
			   const struct conf_value *v)
{
	if (!strchr(v->text, '=') || *v->text == '=')
		fault(k, v->pos, "%s \"%s\" is no variable of the environment: NAME=value", s->name,
		      v->text);
}

static void check_interface(struct checker *k, const struct conf_setting *s,
			    const struct conf_value *v)
{
	size_t n = strlen(v->text);
	if (n > IFNAME_MAX || strpbrk(v->text, "/ \t\n") || str_eq(v->text, ".") ||
	    str_eq(v->text, ".."))
		fault(k, v->pos,
		      "%s \"%s\" is not an interface's name: 1 to 15 bytes, no blank, no \"/\"",
		      s->name, v->text);
}

static bool is_host_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_';
}

/* It becomes a line of every jail's /etc/hosts. */
static void check_hostname(struct checker *k, const struct conf_setting *s,
			   const struct conf_value *v)
{
	const char *p = v->text;
	while (is_host_byte(*p))
		p++;
	if (*p || *v->text == '-' || *v->text == '.')
		fault(k, v->pos, "%s \"%s\" is not a host's name: letters, digits, \"-\" and \".\"",
		      s->name, v->text);
	else if (strlen(v->text) > HOSTNAME_MAX_LEN)
		fault(k, v->pos,
		      "%s \"%s\" is longer than the %d bytes that Linux takes: shorten it", s->name,
		      v->text, HOSTNAME_MAX_LEN);
}

static void check_addr(struct checker *k, const struct conf_setting *s, const struct conf_value *v)
{
	struct conf_addr addr;
	const char *why;
	if (value_addr(&k->jail->arena, s->id == P_IP4_ADDR ? AF_INET : AF_INET6, v->text, &addr,
		       &why) < 0)
		fault(k, v->pos, "%s %s", s->name, why);
}

static void check_rdr(struct checker *k, const struct conf_setting *s, const struct conf_value *v)
{
	struct conf_rdr rdr;
	const char *why;
	if (value_rdr(&k->jail->arena, v->text, &rdr, &why) < 0)
		fault(k, v->pos, "%s \"%s\": %s", s->name, v->text, why);
}

static void check_connect(struct checker *k, const struct conf_setting *s,
			  const struct conf_value *v)
{
	struct conf_connect connect;
	const char *why;
	if (value_connect(&k->jail->arena, v->text, &connect, &why) < 0)
		fault(k, v->pos, "%s \"%s\": %s", s->name, v->text, why);
}

static void check_rctl(struct checker *k, const struct conf_setting *s, const struct conf_value *v)
{
	struct conf_rctl rctl;
	const char *why;
	if (value_rctl(v->text, &rctl, &why) < 0)
		fault(k, v->pos, "%s \"%s\": %s", s->name, v->text, why);
}

static void check_capability(struct checker *k, const struct conf_setting *s,
			     const struct conf_value *v)
{
	const char *why;
	if (!value_capability(&k->jail->arena, v->text, &why))
		fault(k, v->pos, "%s \"%s\": %s", s->name, v->text, why);
}

static void check_mount(struct checker *k, const struct conf_setting *s, const struct conf_value *v)
{
	struct conf_mount mount;
	const char *why;
	if (value_mount(&k->jail->arena, v->text, &mount, &why) < 0)
		fault(k, v->pos, "%s: %s: %s", s->name, v->text, why);
}

static void check_source(struct checker *k, const struct conf_setting *s,
			 const struct conf_value *v)
{
	struct ip ip;
	if (ip_parse(v->text, &ip) < 0)
		fault(k, v->pos, "%s \"%s\" is not an address: write one of the host's", s->name,
		      v->text);
}

static void check_template(struct checker *k, const struct conf_setting *s,
			   const struct conf_value *v)
{
	if (*v->text == '.' || *v->text == '-' || strpbrk(v->text, "/ \t\n"))
		fault(k, v->pos,
		      "%s \"%s\" is not a template's name: no \"/\", no blank, no \".\" or \"-\" "
		      "in front",
		      s->name, v->text);
}

static void check_keep(struct checker *k, const struct conf_setting *s, const struct conf_value *v)
{
	struct conf_keep keep;
	const char *why;
	if (value_keep(v->text, &keep, &why) < 0)
		fault(k, v->pos, "%s \"%s\": %s", s->name, v->text, why);
}

static void check_ruleset(struct checker *k, const struct conf_setting *s,
			  const struct conf_value *v)
{
	if (!str_eq(v->text, "4") && !str_eq(v->text, "0"))
		diag_warn_once(k->diags, v->pos,
			       "%s %s: there is one set of devices here, that of ruleset 4",
			       s->name, v->text);
}

static void check_sysv(struct checker *k, const struct conf_setting *s, const struct conf_value *v)
{
	if (strcasecmp(v->text, "inherit") == 0)
		fault(k, v->pos,
		      "%s = inherit is refused: the host's objects stay the host's; \"new\" gives "
		      "the "
		      "jail its own",
		      s->name);
}

typedef void check_fn(struct checker *k, const struct conf_setting *s, const struct conf_value *v);

static check_fn *const checks[PARAM_COUNT] = {
    [P_PATH] = check_absolute,
    [P_EXEC_CONSOLELOG] = check_absolute,
    [P_EXEC_DIR] = check_absolute,
    [P_EXEC_ENV] = check_variable,
    [P_MOUNT_FSTAB] = check_absolute,
    [P_HOST_HOSTNAME] = check_hostname,
    [P_HOST_DOMAINNAME] = check_hostname,
    [P_INTERFACE] = check_interface,
    [P_VNET_INTERFACE] = check_interface,
    [P_IP4_ADDR] = check_addr,
    [P_IP6_ADDR] = check_addr,
    [P_RDR] = check_rdr,
    [P_ALLOW_CONNECT] = check_connect,
    [P_NAT_SOURCE] = check_source,
    [P_RCTL] = check_rctl,
    [P_MOUNT] = check_mount,
    [P_CAPABILITIES] = check_capability,
    [P_TEMPLATE] = check_template,
    [P_SNAPSHOT_KEEP] = check_keep,
    [P_DEVFS_RULESET] = check_ruleset,
    [P_SYSVMSG] = check_sysv,
    [P_SYSVSEM] = check_sysv,
    [P_SYSVSHM] = check_sysv,
};

static void check_own(struct checker *k, const struct conf_setting *s)
{
	check_fn *fn = checks[s->id];
	enum param_type type = param_get(s->id)->type;
	if (!fn)
		return;
	if (type != PT_LIST && type != PT_ADDRS) {
		if (last_value(s))
			fn(k, s, last_value(s));
		return;
	}
	for (size_t i = 0; i < s->nitems; i++)
		fn(k, s, &s->item[i]);
}

/* Does it only say what is the case anyway? */
static bool says_nothing(const struct checker *k, const struct conf_setting *s)
{
	const struct param *p = param_get(s->id);
	if (p->type == PT_BOOL)
		return conf_bool(k->jail, s->id) == (p->def && str_eq(p->def, "true"));
	if (s->id == P_HOST)
		return conf_sys(k->jail, s->id) == SYS_NEW;
	return !s->nitems;
}

static void check_class(struct checker *k, const struct conf_setting *s)
{
	const struct param *p = param_get(s->id);
	if (p->flags & PF_READONLY)
		fault(k, s->pos, "%s can be read only, by jls; remove it", s->name);
	else if (p->class == REFUSED && !says_nothing(k, s))
		fault(k, s->pos, "%s is refused: %s", s->name, p->text);
	else if (p->class == WITHOUT_EFFECT && !says_nothing(k, s))
		diag_warn_once(k->diags, s->pos, "%s has no effect: %s", s->name, p->text);
}

/* Values that must agree. */

#define STRING_OF(n) #n
#define TEXT_OF(n) STRING_OF(n)

const char *conf_name_fault(const char *name)
{
	if (!*name)
		return "a jail needs a name";
	if (*name == '.' || name[strlen(name) - 1] == '.' || strstr(name, ".."))
		return "each part between dots needs a name";
	if (!name[strspn(name, "0123456789")])
		return "a number is not the name of a jail: add a letter";
	if (*name == '-' || strpbrk(name, "/*#\"'\\ \t\r\n") || strlen(name) > NAME_MAX_LEN)
		return "a jail's name has at most " TEXT_OF(
		    NAME_MAX_LEN) " bytes, no blank, quote, \"/\", \"*\", \"#\" or \"\\\", no "
				  "\"-\" in front";
	if (str_eq(name, "host") || str_eq(name, "internet"))
		return "it means something else in allow.connect: choose another";
	return NULL;
}

static void check_name(struct checker *k)
{
	const struct conf_jail *j = k->jail;
	struct pos pos = conf_pos(j, P_NAME);
	const char *jid = conf_string(j, P_JID);

	if (!*j->name) {
		if (!conf_string(j, P_PATH))
			fault(k, pos, "a jail that is given neither name nor jid needs a path");
		return;
	}
	const char *why = conf_name_fault(j->name);
	if (why && !(jid && str_eq(jid, j->name)))
		fault(k, pos, "name \"%s\": %s", j->name, why);
}

static void check_family(struct checker *k, enum param_id family, enum param_id addr)
{
	const struct conf_jail *j = k->jail;
	size_t n;
	conf_list(j, addr, &n);
	if (!n || !conf_is_set(j, family) || conf_sys(j, family) == SYS_NEW)
		return;
	fault(k, conf_pos(j, family), "%s = %s and %s contradict each other: remove one",
	      param_get(family)->name, conf_string(j, family), param_get(addr)->name);
}

/* ip4 = inherit: the jail is in the host's network, in all of it. */
static void check_inherit(struct checker *k)
{
	static const enum param_id needs_own[] = {
	    P_RDR, P_ALLOW_CONNECT, P_NAT_SOURCE, P_VNET_INTERFACE, P_IP4_ADDR, P_IP6_ADDR};
	const struct conf_jail *j = k->jail;
	bool four = conf_sys(j, P_IP4) == SYS_INHERIT, six = conf_sys(j, P_IP6) == SYS_INHERIT;
	if (!four && !six)
		return;
	enum param_id id = four ? P_IP4 : P_IP6;
	struct pos pos = conf_pos(j, id);
	const char *name = param_get(id)->name;
	if (conf_sys(j, P_VNET) == SYS_NEW)
		fault(k, pos, "%s = inherit and vnet contradict each other: remove one", name);
	for (size_t i = 0; i < ARRAY_SIZE(needs_own); i++) {
		size_t n;
		conf_list(j, needs_own[i], &n);
		bool own_family = needs_own[i] == (four ? P_IP4_ADDR : P_IP6_ADDR);
		if (n && conf_is_set(j, needs_own[i]) && !own_family)
			fault(k, conf_pos(j, needs_own[i]),
			      "%s needs a network of the jail's own, which %s = inherit gives up: "
			      "remove one",
			      param_get(needs_own[i])->name, name);
	}
	enum param_id other = four ? P_IP6 : P_IP4;
	if (four != six && !conf_is_set(j, other))
		diag_warn_once(k->diags, pos,
			       "%s = inherit shares the whole of the host's network, %s as well: "
			       "write %s = inherit too, or give the jail addresses",
			       name, param_get(other)->name, param_get(other)->name);
	else if (four != six)
		fault(k, conf_pos(j, other),
		      "%s = %s is not possible beside %s = inherit, which shares the whole of the "
		      "host's network: remove one",
		      param_get(other)->name, conf_string(j, other) ? conf_string(j, other) : "new",
		      name);
}

/* No address twice in one jail; rdr and nat.source have addresses to work with. */
static void check_addresses(struct checker *k)
{
	static const enum param_id ids[] = {P_IP4_ADDR, P_IP6_ADDR};
	struct conf_jail *j = k->jail;
	size_t count[2] = {0}, n;
	struct map seen = {0};

	for (unsigned f = 0; f < 2; f++) {
		const struct conf_value *v = conf_list(j, ids[f], &n);
		for (size_t i = 0; i < n; i++) {
			struct conf_addr *a = arena_alloc(&j->arena, sizeof(*a));
			const char *why;
			if (value_addr(&j->arena, f ? AF_INET6 : AF_INET, v[i].text, a, &why) < 0)
				continue;
			count[f]++;
			if (a->addr.family && map_put(&seen, a->addr.bytes, ip_size(&a->addr), 0))
				fault(k, v[i].pos, "%s \"%s\" stands here twice: remove one",
				      param_get(ids[f])->name, v[i].text);
		}
	}
	map_done(&seen);
	if (conf_sys(j, P_IP4) == SYS_INHERIT || conf_sys(j, P_IP6) == SYS_INHERIT)
		return; /* check_inherit told what does not go with it */
	conf_list(j, P_RDR, &n);
	if (n && !count[0] && !count[1])
		fault(k, conf_pos(j, P_RDR),
		      "rdr leads to an address of the jail, and it has none: add ip4.addr = auto;");
	const struct conf_value *source = conf_list(j, P_NAT_SOURCE, &n);
	unsigned given[2] = {0};
	for (size_t i = 0; i < n; i++) {
		struct ip ip;
		if (ip_parse(source[i].text, &ip) < 0)
			continue;
		bool six = ip.family == AF_INET6;
		if (!count[six])
			fault(k, source[i].pos,
			      "nat.source \"%s\" needs an %s of the jail, and it has "
			      "none: add %s = auto;",
			      source[i].text, six ? "ip6.addr" : "ip4.addr",
			      six ? "ip6.addr" : "ip4.addr");
		else if (given[six]++)
			fault(k, source[i].pos,
			      "nat.source \"%s\" is the second of its family: one can be used",
			      source[i].text);
	}
}

/* Port ranges of redirects sorted by protocol and port: neighbours tell whether any overlap. */
struct redirect {
	struct conf_rdr rdr;
	const struct conf_value *value;
};

static int by_port(const void *a, const void *b)
{
	const struct redirect *x = a, *y = b;
	if (x->rdr.proto != y->rdr.proto)
		return x->rdr.proto < y->rdr.proto ? -1 : 1;
	if (x->rdr.port.first != y->rdr.port.first)
		return x->rdr.port.first < y->rdr.port.first ? -1 : 1;
	return x->value < y->value ? -1 : x->value > y->value;
}

static void check_redirects(struct checker *k)
{
	struct conf_jail *j = k->jail;
	size_t n, m = 0;
	const struct conf_value *v = conf_list(j, P_RDR, &n);
	struct redirect *r = arena_alloc(&j->arena, n * sizeof(*r));

	for (size_t i = 0; i < n; i++) {
		const char *why;
		if (value_rdr(&j->arena, v[i].text, &r[m].rdr, &why) == 0)
			r[m++].value = &v[i];
	}
	if (m > 1)
		qsort(r, m, sizeof(*r), by_port);
	for (size_t i = 1; i < m; i++) {
		const struct redirect *a = &r[i - 1], *b = &r[i];
		if (a->rdr.proto != b->rdr.proto || b->rdr.port.first > a->rdr.port.last)
			continue;
		if (a->value > b->value) {
			const struct redirect *first = b;
			b = a;
			a = first;
		}
		fault(k, b->value->pos,
		      "rdr \"%s\" takes the same port as \"%s\" at %s:%u: one port leads to one "
		      "place",
		      b->value->text, a->value->text, a->value->pos.file, a->value->pos.line);
	}
}

static void check_agreement(struct checker *k)
{
	const struct conf_jail *j = k->jail;
	size_t n;

	check_name(k);
	check_family(k, P_IP4, P_IP4_ADDR);
	check_family(k, P_IP6, P_IP6_ADDR);
	check_inherit(k);
	check_addresses(k);
	check_redirects(k);
	conf_list(j, P_VNET_INTERFACE, &n);
	if (n && conf_sys(j, P_VNET) != SYS_NEW && conf_sys(j, P_IP4) != SYS_INHERIT)
		fault(k, conf_pos(j, P_VNET_INTERFACE), "vnet.interface needs vnet: add \"vnet;\"");
	if (conf_bool(j, P_ALLOW_MOUNT) && conf_int(j, P_ENFORCE_STATFS) >= 2)
		diag_warn_once(
		    k->diags, conf_pos(j, P_ALLOW_MOUNT),
		    "allow.mount has no effect while enforce_statfs is 2, its default: add "
		    "enforce_statfs = 1;");
	if (conf_bool(j, P_EXEC_SYSTEM_JAIL_USER) && !conf_string(j, P_EXEC_JAIL_USER))
		diag_warn_once(k->diags, conf_pos(j, P_EXEC_SYSTEM_JAIL_USER),
			       "exec.system_jail_user has no effect without exec.jail_user");
}

void conf_check_values(struct conf_jail *j, enum conf_purpose purpose, bool sound, struct diags *d)
{
	struct checker k = {j, d};
	unsigned before = d->errors;

	for (size_t i = 0; i < j->nsettings && purpose != CONF_FOR_LIST; i++) {
		const struct conf_setting *s = &j->setting[i];
		bool kernel = param_get(s->id)->flags & PF_KERNEL;
		if (purpose == CONF_FOR_STOP && (kernel || param_get(s->id)->class == REFUSED))
			continue;
		if (!check_type(&k, s))
			continue;
		check_own(&k, s);
		if (purpose == CONF_FOR_START)
			check_class(&k, s);
	}
	/* Values that are wrong by themselves would only repeat themselves. */
	if (purpose == CONF_FOR_START && sound && d->errors == before)
		check_agreement(&k);
}
