#include "run/differ.h"

static void values_of(struct str *out, const struct strv *param, const char *name)
{
	size_t len = strlen(name);
	for (size_t i = 0; i < param->n; i++)
		if (strncmp(param->v[i], name, len) == 0 && param->v[i][len] == '=')
			str_addf(out, "%s\n", param->v[i] + len + 1);
}

bool differ_param(const struct record *r, const struct strv *param, enum param_id id)
{
	struct str before autodone(str_done) = {0}, after autodone(str_done) = {0};
	const struct param *p = param_get(id);
	values_of(&before, &r->param, p->name);
	values_of(&after, param, p->name);
	if (!before.len && p->def)
		str_addf(&before, "%s\n", p->def);
	if (!after.len && p->def)
		str_addf(&after, "%s\n", p->def);
	return !str_eq(str_text(&before), str_text(&after));
}

static bool is_asked(const struct differ_want *w, enum param_id id)
{
	return w->whole ? param_get(id)->class == HONOURED : conf_is_set(w->conf, id);
}

/* The place that a jail without a path has need not be written down. */
static bool other_path(const struct record *r, const struct differ_want *w)
{
	const char *path = conf_string(w->conf, P_PATH);
	return path && r->path && !str_eq(path, r->path);
}

const char *differ_fixed(const struct record *r, const struct differ_want *w, bool *created)
{
	static const enum param_id others[] = {
	    P_IP4,     P_IP4_ADDR, P_IP6,         P_IP6_ADDR,        P_INTERFACE,
	    P_SERVICE, P_MOUNT,    P_MOUNT_FSTAB, P_HOST_DOMAINNAME, P_VNET_INTERFACE};
	struct privs now;
	const char *text = record_param(r, PRIVS_PARAM);
	*created = true;
	if (w->conf->jid && w->conf->jid != r->jid)
		return "jid";
	if (is_asked(w, P_PATH) && other_path(r, w))
		return "path";
	for (enum param_id id = PARAM_NONE + 1; id < PARAM_COUNT; id++)
		if (param_get(id)->flags & PF_CREATE && id != P_JID && id != P_PATH &&
		    is_asked(w, id) && differ_param(r, w->param, id))
			return param_get(id)->name;
	*created = false;
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (is_asked(w, others[i]) && differ_param(r, w->param, others[i]))
			return param_get(others[i])->name;
	if (text && privs_parse(text, &now) == 0 &&
	    (now.caps != w->privs->caps || now.filter != w->privs->filter ||
	     now.memlock != w->privs->memlock || now.files != w->privs->files))
		return "what its processes may do (allow.*, capabilities, rctl openfiles)";
	return NULL;
}
