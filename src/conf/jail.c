#include "conf/jail.h"

#include <stdlib.h>
#include <strings.h>

#include "base/str.h"

bool conf_is_set(const struct conf_jail *j, enum param_id id)
{
	return j->by_id[id];
}

/* The last value as written; NULL where there is none. */
static const char *last(const struct conf_jail *j, enum param_id id)
{
	const struct conf_setting *s = j->by_id[id];
	return s && s->nvalues ? s->value[s->nvalues - 1].text : NULL;
}

bool conf_bool(const struct conf_jail *j, enum param_id id)
{
	const struct conf_setting *s = j->by_id[id];
	const char *v = last(j, id), *def = param_get(id)->def;
	if (!s)
		return def && str_eq(def, "true");
	bool set = !v || strcasecmp(v, "true") == 0 || strtol(v, NULL, 10) != 0;
	return set != s->negated;
}

long conf_int(const struct conf_jail *j, enum param_id id)
{
	const char *v = last(j, id);
	if (!v)
		v = param_get(id)->def;
	return v ? strtol(v, NULL, 10) : 0;
}

const char *conf_string(const struct conf_jail *j, enum param_id id)
{
	const char *v = conf_is_set(j, id) ? last(j, id) : param_get(id)->def;
	if (id == P_PATH && !(v && *v))
		v = j->path;
	return v && *v ? v : NULL;
}

const struct conf_value *conf_list(const struct conf_jail *j, enum param_id id, size_t *n)
{
	static const struct conf_value internet = {.text = "internet"};
	const struct conf_setting *s = j->by_id[id];
	if (!s && id == P_ALLOW_CONNECT) {
		*n = 1;
		return &internet;
	}
	*n = s ? s->nitems : 0;
	return s ? s->item : NULL;
}

/* What the parameter itself says; false: nothing. */
static bool written(const struct conf_jail *j, enum param_id id, enum conf_sys *out)
{
	static const char *const word[] = {
	    [SYS_DISABLE] = "disable", [SYS_NEW] = "new", [SYS_INHERIT] = "inherit"};
	if (!conf_is_set(j, id))
		return false;
	const char *v = last(j, id);
	*out = SYS_NEW; /* a bare name */
	for (unsigned i = 0; v && i < ARRAY_SIZE(word); i++)
		if (strcasecmp(v, word[i]) == 0)
			*out = i;
	return true;
}

static bool has_items(const struct conf_jail *j, enum param_id id)
{
	const struct conf_setting *s = j->by_id[id];
	return s && s->nitems;
}

enum conf_sys conf_sys(const struct conf_jail *j, enum param_id id)
{
	enum conf_sys v;
	if (written(j, id, &v))
		return v;
	switch (id) {
	case P_IP4:
	case P_IP6:
		if (has_items(j, id == P_IP4 ? P_IP4_ADDR : P_IP6_ADDR))
			return SYS_NEW;
		return written(j, P_VNET, &v) && v == SYS_NEW ? SYS_NEW : SYS_DISABLE;
	case P_HOST:
		return has_items(j, P_HOST_HOSTNAME) || has_items(j, P_HOST_DOMAINNAME) ||
			       has_items(j, P_HOST_HOSTUUID) || has_items(j, P_HOST_HOSTID)
			   ? SYS_NEW
			   : SYS_INHERIT;
	case P_SYSVMSG:
	case P_SYSVSEM:
	case P_SYSVSHM:
		return conf_bool(j, P_ALLOW_SYSVIPC) ? SYS_NEW : SYS_DISABLE;
	default:
		return SYS_INHERIT;
	}
}

struct pos conf_pos(const struct conf_jail *j, enum param_id id)
{
	return j->by_id[id] ? j->by_id[id]->pos : j->pos;
}
