/* The text of a record. Values are escaped (\n, \\), so that a line is a line whatever a parameter
 * holds; the last line tells a whole record from half of one. */
#include <stdio.h>
#include "base/mem.h"
#include "base/num.h"
#include "state/state.h"

void record_done(struct record *r)
{
	free(r->name);
	free(r->path);
	free(r->hostname);
	free(r->link);
	strv_done(&r->ip4);
	strv_done(&r->ip6);
	strv_done(&r->param);
	strv_done(&r->undo);
	*r = (struct record){0};
}

const char *record_param(const struct record *r, const char *name)
{
	size_t len = strlen(name);
	for (size_t i = 0; i < r->param.n; i++)
		if (strncmp(r->param.v[i], name, len) == 0 && r->param.v[i][len] == '=')
			return r->param.v[i] + len + 1;
	return NULL;
}

static void add_text(struct str *out, const char *key, const char *value)
{
	if (!value)
		return;
	str_addf(out, "%s ", key);
	for (; *value; value++)
		switch (*value) {
		case '\n':
			str_add(out, "\\n");
			break;
		case '\\':
			str_add(out, "\\\\");
			break;
		default:
			str_addc(out, *value);
		}
	str_addc(out, '\n');
}

static void add_list(struct str *out, const char *key, const struct strv *l)
{
	for (size_t i = 0; i < l->n; i++)
		add_text(out, key, l->v[i]);
}

void record_format(struct str *out, const struct record *r)
{
	add_text(out, "name", r->name);
	str_addf(out, "jid %d\n", r->jid);
	str_addf(out, "pid %d %llu\n", (int)r->pid, (unsigned long long)r->pid_started);
	if (r->slot != SLOT_NONE)
		str_addf(out, "slot %u\n", r->slot);
	str_addf(out, "since %lld\n", (long long)r->since);
	add_text(out, "path", r->path);
	add_text(out, "hostname", r->hostname);
	add_text(out, "link", r->link);
	if (r->persist)
		str_add(out, "persist\n");
	if (r->aside)
		str_add(out, "aside\n");
	if (r->starting)
		str_add(out, "starting\n");
	add_list(out, "ip4", &r->ip4);
	add_list(out, "ip6", &r->ip6);
	add_list(out, "param", &r->param);
	add_list(out, "undo", &r->undo);
	str_add(out, "end\n");
}

/* Undoes the escapes in place; false where one is unknown. */
static bool unescape(char *s)
{
	char *to = s;
	for (; *s; s++) {
		if (*s == '\\') {
			s++;
			if (*s != 'n' && *s != '\\')
				return false;
			*to++ = *s == 'n' ? '\n' : '\\';
		} else {
			*to++ = *s;
		}
	}
	*to = '\0';
	return true;
}

static int set_text(char **field, const char *value)
{
	if (*field)
		return -EEXIST;
	*field = mem_strdup(value);
	return 0;
}

static int set_pid(struct record *r, char *value)
{
	char *blank = strchr(value, ' ');
	uint32_t pid;
	if (!blank)
		return -EINVAL;
	*blank = '\0';
	int rc = num_u32(value, 0, INT32_MAX, &pid);
	if (rc == 0)
		rc = num_u64(blank + 1, 0, UINT64_MAX, &r->pid_started);
	if (rc == 0)
		r->pid = (pid_t)pid;
	return rc;
}

static int set_jid(struct record *r, const char *value)
{
	uint32_t jid;
	int rc = num_u32(value, 0, JID_MAX, &jid);
	if (rc == 0)
		r->jid = (int)jid;
	return rc;
}

/* One line: a key and its unescaped value ("" without one). Keys of a later newgate are passed
 * over, so that it can be replaced by this one while jails run. */
static int set_field(struct record *r, const char *key, char *value)
{
	if (str_eq(key, "name"))
		return *value ? set_text(&r->name, value) : -EINVAL;
	if (str_eq(key, "jid"))
		return set_jid(r, value);
	if (str_eq(key, "pid"))
		return set_pid(r, value);
	if (str_eq(key, "slot"))
		return num_u32(value, 0, SLOT_COUNT - 1, &r->slot);
	if (str_eq(key, "since"))
		return num_i64(value, 0, INT64_MAX, &r->since);
	if (str_eq(key, "path"))
		return set_text(&r->path, value);
	if (str_eq(key, "hostname"))
		return set_text(&r->hostname, value);
	if (str_eq(key, "link"))
		return set_text(&r->link, value);
	if (str_eq(key, "persist"))
		r->persist = true;
	else if (str_eq(key, "aside"))
		r->aside = true;
	else if (str_eq(key, "starting"))
		r->starting = true;
	else if (str_eq(key, "ip4"))
		strv_add(&r->ip4, value);
	else if (str_eq(key, "ip6"))
		strv_add(&r->ip6, value);
	else if (str_eq(key, "param"))
		strv_add(&r->param, value);
	else if (str_eq(key, "undo"))
		strv_add(&r->undo, value);
	return 0;
}

static int parse_lines(char *text, struct record *r, struct ng_err *err)
{
	unsigned line = 0;
	bool end = false;
	for (char *p = text, *nl; *p && !end; p = nl + 1) {
		line++;
		nl = strchr(p, '\n');
		if (!nl)
			break;
		*nl = '\0';
		char *value = strchr(p, ' ');
		if (value)
			*value++ = '\0';
		else
			value = nl;
		if (str_eq(p, "end"))
			end = true;
		else if (!unescape(value) || set_field(r, p, value) < 0)
			return err_set(err, EINVAL, "line %u: bad value of \"%.40s\"", line, p);
	}
	if (!end)
		return err_set(err, EINVAL, "line %u: the record is cut short", line + 1);
	if (!r->name)
		return err_set(err, EINVAL, "the record has no name");
	return 0;
}

int record_parse(const char *text, size_t len, struct record *out, struct ng_err *err)
{
	*out = (struct record){.slot = SLOT_NONE};
	if (memchr(text, '\0', len))
		return err_set(err, EINVAL, "the record has a NUL byte");
	autofree char *copy = mem_strndup(text, len);
	int rc = parse_lines(copy, out, err);
	if (rc < 0)
		record_done(out);
	return rc;
}
