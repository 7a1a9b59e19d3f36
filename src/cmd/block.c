#include "cmd/block.h"

#include <stdio.h>
#include <string.h>
#include "base/str.h"
#include "cmd/cmd.h"
#include "conf/print.h"

#define DEFAULT_TEMPLATE "_base"

/* A jail's own in any case: two jails cannot share them, or should not by accident. */
static bool is_own(const struct conf_param *p)
{
	switch (p->id) {
	case P_JID:
	case P_NAME:
	case P_HOST_HOSTUUID:
	case P_HOST_HOSTID:
	case P_IP4_ADDR:
	case P_IP6_ADDR:
	case P_RDR:
	case P_VNET_INTERFACE:
	case P_TEMPLATE:
		return true;
	default:
		return false;
	}
}

/* Its own unless written with a variable, such as path = "/var/jails/$name". */
static bool is_own_as_written(const struct conf_param *p)
{
	if (p->id != P_PATH && p->id != P_HOST_HOSTNAME && p->id != P_EXEC_CONSOLELOG)
		return false;
	for (size_t i = 0; i < p->nvalues; i++)
		for (size_t k = 0; k < p->value[i].nparts; k++)
			if (p->value[i].part[k].variable)
				return false;
	return true;
}

static void copy_params(const struct conf_record *from, bool same, struct conf_param **v, size_t *n)
{
	for (size_t i = 0; i < from->nparams; i++) {
		const struct conf_param *p = &from->param[i];
		if (!same && !p->variable && (is_own(p) || is_own_as_written(p)))
			continue;
		*v = mem_grow(*v, *n, sizeof(**v));
		(*v)[(*n)++] = *p;
	}
}

static bool said_before(const struct conf_record *r, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (str_eq(r->param[i].name, r->param[at].name))
			return true;
	return false;
}

/* The block's text: the parameters of `like`, then the added ones. */
static char *write_block(const char *jail, const struct conf_record *like, const struct conf *added)
{
	bool same = like && str_eq(like->name, jail);
	autofree struct conf_param *v = NULL;
	size_t n = 0;

	if (like)
		copy_params(like, same, &v, &n);
	const struct conf_record *more = conf_find(added, jail);
	for (size_t i = 0; more && i < more->nparams; i++) {
		v = mem_grow(v, n, sizeof(*v));
		v[n] = more->param[i];
		/* Arguments add to what earlier ones said, but not to what `like` or the file says.
		 */
		v[n].append = said_before(more, i);
		n++;
	}
	struct conf_record r = {.name = jail, .param = v, .nparams = n};
	const struct conf c = {.record = &r, .nrecords = 1};
	struct str text = {0};
	conf_print(&text, &c);
	return str_take(&text);
}

/* Puts the block at the end of jail.conf, in memory, and resolves the jail. */
static bool assemble(struct block *b, const char *jail, const struct conf_record *like,
		     const struct conf *added, enum conf_purpose purpose)
{
	autodone(diags_done) struct diags d = {0};
	autofree char *block = write_block(jail, like, added);

	conf_jail_done(&b->jail);
	conf_done(&b->conf);
	b->jail = (struct conf_jail){0};
	b->conf = (struct conf){0};
	free(take_ptr(b->text));
	int rc =
	    edit_add(&b->edit, cmd_root, jail, block, purpose, &b->text, &b->conf, &b->jail, &d);
	if (rc < 0)
		(void)tell_diags(&d, true);
	return rc == 0;
}

static bool runs_something(const struct conf_jail *j)
{
	return conf_is_set(j, P_EXEC_START) || conf_is_set(j, P_COMMAND) ||
	       conf_is_set(j, P_SERVICE);
}

static bool has_network(const struct conf_jail *j)
{
	return conf_is_set(j, P_IP4_ADDR) || conf_is_set(j, P_IP6_ADDR) || conf_is_set(j, P_IP4) ||
	       conf_is_set(j, P_IP6) || conf_is_set(j, P_VNET);
}

/* What a jail needs to be of use and nobody has said. */
static void add_missing(const struct conf_jail *j, const struct conf_record *like,
			struct conf *added)
{
	autodone(diags_done) struct diags d = {0};
	autodone(str_done) struct str arg = {0};
	const char *jail = j->block;

	if (!conf_is_set(j, P_HOST_HOSTNAME)) {
		str_addf(&arg, "host.hostname=%s", jail);
		conf_add_argument(added, jail, arg.s, &d);
	}
	if (!has_network(j))
		conf_add_argument(added, jail, "ip4.addr=auto", &d);
	if (like)
		return;
	if (!runs_something(j)) {
		conf_add_argument(added, jail, "exec.start=/bin/sh /etc/rc", &d);
		conf_add_argument(added, jail, "exec.stop=/bin/sh /etc/rc.shutdown", &d);
	}
	if (!conf_is_set(j, P_EXEC_CLEAN))
		conf_add_argument(added, jail, "exec.clean", &d);
	if (!conf_is_set(j, P_MOUNT_DEVFS))
		conf_add_argument(added, jail, "mount.devfs", &d);
	/* Its rc.conf enables nothing yet: without this it would end as soon as it has started. */
	if (!conf_is_set(j, P_PERSIST))
		conf_add_argument(added, jail, "persist", &d);
}

static bool breaks_nothing(struct block *b)
{
	autodone(diags_done) struct diags d = {0};

	edit_check(&b->edit, cmd_root, &b->conf, &d);
	return tell_diags(&d, !b->again);
}

/* What `template` names, else _base, else the only one there is. The caller frees; NULL: told. */
static char *choose_template(struct storage *s, const struct conf_jail *j)
{
	struct store_template *t = NULL;
	struct ng_err err = {0};
	char *name = NULL;
	size_t n = 0;

	if (conf_is_set(j, P_TEMPLATE))
		return mem_strdup(conf_string(j, P_TEMPLATE));
	if (store_has_template(&s->store, DEFAULT_TEMPLATE))
		return mem_strdup(DEFAULT_TEMPLATE);
	if (store_templates(&s->store, &t, &n, &err) < 0)
		warn_msg("%s", err.text);
	/* Of versions, which follow each other, the newest is meant. */
	else if (n > 0 && str_eq(t[0].name, t[n - 1].name))
		name = mem_strdup(t[0].name);
	else if (n == 0)
		warn_msg("there is no template yet: newgate template create " DEFAULT_TEMPLATE
			 " --from busybox");
	else
		warn_msg("there are %zu templates, none of them " DEFAULT_TEMPLATE
			 ": choose one by template=NAME (newgate template list)",
			 n);
	store_templates_free(t, n);
	return name;
}

static bool is_said(const char *line, char *const *args, int n)
{
	size_t len = strcspn(line, "=") + 1;

	for (int i = 0; i < n; i++)
		if (strncmp(args[i], line, len) == 0)
			return true;
	return false;
}

/* What the template's image says of its jails, where the arguments say nothing. */
static bool add_defaults(struct storage *s, const char *from, const char *jail, char *const *args,
			 int n, struct conf *added)
{
	autodone(diags_done) struct diags d = {0};
	autodone(strv_done) struct strv lines = {0};
	autofree char *text = store_template_defaults(&s->store, from);

	strv_split(&lines, text ? text : "", "\n");
	for (size_t i = 0; i < lines.n; i++)
		if (!is_said(lines.v[i], args, n))
			conf_add_argument(added, jail, lines.v[i], &d);
	return tell_diags(&d, true);
}

bool block_plan(struct block *b, struct storage *s, const char *jail,
		const struct conf_record *like, char *const *args, int n)
{
	autodone(conf_done) struct conf added = {0};
	autodone(diags_done) struct diags d = {0};
	struct ng_err err = {0};

	if (edit_open(&b->edit, cmd_root, &err) < 0) {
		warn_msg("%s", err.text);
		return false;
	}
	for (int i = 0; i < n; i++)
		conf_add_argument(&added, jail, args[i], &d);
	if (!tell_diags(&d, true))
		return false;
	/* First to see what is set, then as it will be. */
	if (!assemble(b, jail, like, &added, CONF_FOR_LIST))
		return false;
	if (s && !b->from)
		b->from = choose_template(s, &b->jail);
	if (s && (!b->from || (!like && !add_defaults(s, b->from, jail, args, n, &added)) ||
		  !assemble(b, jail, like, &added, CONF_FOR_LIST)))
		return false;
	if (!like || !str_eq(like->name, jail))
		add_missing(&b->jail, like, &added);
	return assemble(b, jail, like, &added, CONF_FOR_START) && breaks_nothing(b);
}

bool block_write(struct block *b)
{
	struct ng_err err = {0};

	if (edit_write(&b->edit, b->text, &err) == 0)
		return true;
	warn_msg("%s", err.text);
	return false;
}

void block_take_back(const char *jail)
{
	autodone(edit_done) struct edit e = {.lock = -1};
	autodone(conf_done) struct conf now = {0};
	autodone(diags_done) struct diags d = {0};
	autofree char *text = NULL;
	struct ng_err err = {0};

	if (edit_open(&e, cmd_root, &err) < 0 ||
	    (edit_remove(&e, cmd_root, jail, &text, &now, &d) > 0 &&
	     edit_write(&e, text, &err) < 0))
		warn_msg("%s", err.text);
	(void)tell_diags(&d, false);
}

void block_done(struct block *b)
{
	conf_jail_done(&b->jail);
	conf_done(&b->conf);
	free(b->text);
	free(b->from);
	edit_done(&b->edit);
}

int block_make(struct storage *s, const char *from, const char *jail, const char *like,
	       char *const *args, int n)
{
	autodone(block_done) struct block b = {.edit = {.lock = -1}};
	autoclose int lock = -1;
	struct ng_err err = {0};

	b.from = from ? mem_strdup(from) : NULL;
	if (!block_plan(&b, s, jail, like ? conf_find(&s->conf, like) : NULL, args, n))
		return 1;
	if (!from && !store_has_template(&s->store, b.from) && !storage_try_hold(s, b.from, &lock))
		return 1;
	if (!storage_clone(s, b.from, &b.jail))
		return 1;
	if (!block_write(&b)) {
		/* Its folder may be what could not be written to disk. */
		edit_done(&b.edit);
		block_take_back(jail);
		if (store_destroy(&s->store, jail, NULL, &err) < 0)
			warn_msg("%s", err.text);
		return 1;
	}
	printf("%s: cloned from %s to %s, added to %s\n", jail, b.from,
	       conf_string(&b.jail, P_PATH), b.edit.path);
	return 0;
}
