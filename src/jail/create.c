#include "jail/create.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include "base/mem.h"
#include "conf/files.h"
#include "jail/limits.h"
#include "jail/log.h"
#include "sys/cgroup.h"
#include "sys/mount.h"

#define UNDO_MOUNT "mount "

int host_open(struct host *h, struct state *s, const struct rcconf *rc, struct ng_err *err)
{
	*h = (struct host){.state = s, .rc = rc, .cgroup = -1};
	h->cgroup = cgroup_open_base(s->cgroup);
	if (h->cgroup < 0 && h->cgroup != -ENOENT)
		return err_sys(err, h->cgroup, "cgroup %s", s->cgroup);
	return store_open(&h->store, s->root, err);
}

void host_done(struct host *h)
{
	if (h->net_open)
		net_done(&h->net);
	store_done(&h->store);
	macro_close(&h->cgroup);
	*h = (struct host){.cgroup = -1};
}

int host_net(struct host *h, struct ng_err *err)
{
	if (h->net_open)
		return 0;
	int rc = net_open(&h->net, h->state, h->rc, err);
	h->net_open = rc == 0;
	return rc;
}

void create_done(struct create *c)
{
	if (!c->path)
		return;
	free(c->path);
	store_layout_done(&c->layout);
	mounts_done(&c->mounts);
	net_jail_done(&c->net);
	*c = (struct create){0};
}

/* ---- planning ---- */

void create_params(struct strv *out, const struct conf_jail *j, const struct privs *p)
{
	for (size_t i = 0; i < j->nsettings; i++) {
		const struct conf_setting *s = &j->setting[i];
		const struct param *param = param_get(s->id);
		const char *name = param->flags & PF_KEYED ? s->name : param->name;
		if (s->id == P_NAME || s->id == P_JID)
			continue;
		if (param->type == PT_BOOL)
			strv_addf(out, "%s=%s", name, conf_bool(j, s->id) ? "true" : "false");
		else if (!s->nvalues)
			strv_addf(out, "%s=%s", name, param->type == PT_SYS ? "new" : "");
		for (size_t v = 0; v < s->nvalues && param->type != PT_BOOL; v++)
			strv_addf(out, "%s=%s", name, s->value[v].text);
	}
	struct str b autodone(str_done) = {0};
	str_add(&b, PRIVS_PARAM "=");
	privs_format(&b, p);
	strv_add(out, b.s);
}

static int check_path(const char *path, struct ng_err *err)
{
	struct stat st;
	if (stat(path, &st) < 0)
		return err_sys(err, errno, "path %s", path);
	return S_ISDIR(st.st_mode) ? 0 : err_set(err, ENOTDIR, "path %s: Not a directory", path);
}

/* Where the jail's tree is; `template` makes it at the first start. */
static int find_tree(struct host *h, const struct conf_jail *j, struct create *c,
		     struct ng_err *err)
{
	const char *template = conf_string(j, P_TEMPLATE);
	if (template && access(c->path, F_OK) < 0 && !store_has_jail(&h->store, j->name)) {
		int rc = store_clone(&h->store, template, j->name, c->path,
				     conf_string(j, P_HOST_HOSTNAME), err);
		if (rc == 0)
			rc = store_sync(&h->store, j->name, err);
		if (rc < 0)
			return err_prefix(err, "template");
	}
	if (!c->layout.path && !c->layout.lower) {
		int rc = store_layout(&h->store, j->name, c->path, &c->layout, err);
		if (rc < 0)
			return rc;
	}
	return c->layout.path ? check_path(c->layout.path, err) : 0;
}

/* Files have ordinary owners on the disk, also those that the jail's root makes setuid. Where other
 * users of this host come near the tree, they come near its setuid programs: as on FreeBSD, a
 * folder above it has to be closed to them. The tree's own is of no use: its mode is the jail's to
 * change. */
static bool open_to_others(const char *tree)
{
	autofree char *path = realpath(tree, NULL);
	struct statvfs fs;
	struct stat st;
	if (!path || (statvfs(path, &fs) == 0 && fs.f_flag & ST_NOSUID))
		return false;
	for (char *slash; (slash = strrchr(path, '/')) && slash > path;) {
		*slash = '\0';
		if (stat(path, &st) < 0 ||
		    !(st.st_mode & S_IXOTH || (st.st_mode & S_IXGRP && st.st_gid != 0)))
			return false;
	}
	return true;
}

static void warn_open(const struct create *c, struct strv *notes)
{
	const char *tree = c->layout.path;
	const char *slash = tree ? strrchr(tree, '/') : NULL;
	if (slash && !slash[1])
		strv_add(notes,
			 "warning: a jail may change all that is below its path: with path /, "
			 "its root can become the host's");
	else if (slash && open_to_others(tree))
		strv_addf(notes,
			  "warning: other users of this host can run what the jail makes setuid: "
			  "chmod 700 %.*s (or any folder above)",
			  slash > tree ? (int)(slash - tree) : 1, tree);
}

/* One without a name is called by its number. */
static void set_name(struct record *r, const struct conf_jail *j)
{
	struct str b = {0};
	if (*j->name)
		str_add(&b, j->name);
	else
		str_addf(&b, "%d", r->jid);
	r->name = str_take(&b);
}

static void fill_record(struct record *r, const struct conf_jail *j, const struct create *c)
{
	const char *hostname = conf_string(j, P_HOST_HOSTNAME);
	r->since = time(NULL);
	r->path = mem_strdup(conf_string(j, P_PATH));
	r->hostname = mem_strdup(hostname ? hostname : r->name);
	r->link = c->net.link ? mem_strdup(c->net.link) : NULL;
	r->persist = conf_bool(j, P_PERSIST);
	r->starting = true;
	for (size_t i = 0; i < c->net.naddrs; i++) {
		const struct ip *ip = &c->net.addr[i].ip;
		char text[IP_TEXT];
		strv_add(ip->family == AF_INET ? &r->ip4 : &r->ip6, ip_text(ip, text));
	}
	for (size_t i = 0; i < c->net.undo.n; i++)
		strv_add(&r->undo, c->net.undo.v[i]);
	create_params(&r->param, j, &c->privs);
}

/* Until what has no name is locked by its number, its claim looks like that of a killed command, and
 * may be taken away. */
static int claim_number(struct host *h, const struct conf_jail *j, int *lock, struct record *r,
			struct ng_err *err)
{
	for (;;) {
		int rc = state_claim_jid(h->state, j->name, j->jid, &r->jid, err);
		if (rc < 0)
			return rc;
		set_name(r, j);
		if (*lock >= 0)
			return 0;
		*lock = state_lock(h->state, r->name, err);
		if (*lock < 0) {
			state_release(h->state, r->jid, SLOT_NONE);
			r->jid = 0;
			return -err->code;
		}
		if (state_has_jid(h->state, r))
			return 0;
		close(take_fd(lock));
		free(take_ptr(r->name));
	}
}

int create_claim(struct host *h, const struct conf_jail *j, net_lookup *lookup, void *arg,
		 int *lock, struct create *c, struct record *r, struct ng_err *err)
{
	*r = (struct record){.slot = SLOT_NONE};
	c->path = files_path(h->state->root, conf_string(j, P_PATH));
	c->privs = privs_of(j);
	int rc = host_net(h, err);
	if (rc < 0 || (rc = claim_number(h, j, lock, r, err)) < 0)
		return rc;
	if ((rc = state_claim_slot(h->state, r->name, &r->slot, err)) < 0 ||
	    (rc = net_plan(&h->net, j, r->jid, lookup, arg, &c->net, err)) < 0) {
		state_release(h->state, r->jid, r->slot);
		r->jid = 0;
		r->slot = SLOT_NONE;
		return rc;
	}
	fill_record(r, j, c);
	return 0;
}

/* ---- the host's view of an overlay ---- */

static void join_layers(struct str *out, char *const *v)
{
	for (size_t i = 0; v[i]; i++) {
		if (i)
			str_addc(out, ':');
		for (const char *p = v[i]; *p; p++) {
			if (strchr(":,\\", *p))
				str_addc(out, '\\');
			str_addc(out, *p);
		}
	}
}

int create_view(struct host *h, const struct conf_jail *j, struct create *c, struct record *r,
		struct ng_err *err)
{
	/* A tree that is not there yet may be what the commands are to make. */
	struct ng_err none = {0};
	if (!store_has_jail(&h->store, j->name) ||
	    store_layout(&h->store, j->name, c->path, &c->layout, &none) < 0 || c->layout.path)
		return 0;
	strv_addf(&r->undo, UNDO_MOUNT "%s", c->path);
	int rc = state_write(h->state, r, err);
	if (rc < 0)
		return rc;
	struct str o autodone(str_done) = {0};
	str_add(&o, "userxattr,lowerdir=");
	join_layers(&o, c->layout.lower);
	str_add(&o, ",upperdir=");
	join_layers(&o, (char *const[]){c->layout.upper, NULL});
	str_add(&o, ",workdir=");
	join_layers(&o, (char *const[]){c->layout.work, NULL});
	if (mount("overlay", c->path, "overlay", MS_NODEV | MS_NOSUID, o.s) < 0)
		return err_sys(err, errno, "overlay at %s for the commands of the host", c->path);
	c->viewed = true;
	return 0;
}

int create_unview(struct create *c, struct record *r, struct ng_err *err)
{
	if (!c->viewed)
		return 0;
	/* Not lazily: a command of the host that still works below path would keep the layer in
	 * use. */
	if (umount2(c->path, UMOUNT_NOFOLLOW) < 0)
		return err_sys(err, errno,
			       "%s: a command of exec.prepare or exec.prestart still uses it",
			       c->path);
	c->viewed = false;
	free(r->undo.v[--r->undo.n]);
	r->undo.v[r->undo.n] = NULL;
	return 0;
}

/* ---- making ---- */

static void to_notes(struct strv *to, const struct strv *from)
{
	for (size_t i = 0; i < from->n; i++)
		strv_add(to, from->v[i]);
}

int create_make(struct host *h, const struct conf_jail *j, struct create *c, struct record *r,
		struct process *out, struct strv *notes, struct ng_err *err)
{
	int rc = find_tree(h, j, c, err);
	/* First of all: it writes the files that the jail's mounts are made of. */
	if (rc < 0 || (rc = net_prepare(&h->net, err)) < 0)
		return rc;
	if (h->net.warning) {
		strv_take(notes, h->net.warning);
		h->net.warning = NULL;
	}
	if ((rc = mounts_plan(&c->mounts, j, &c->layout, h->state->root, err)) < 0)
		return rc;
	c->mounts.own_net = !c->net.inherit;
	warn_open(c, notes);
	autofree char *file = state_name(r->name);
	autoclose int cg = h->cgroup < 0 ? -1 : cgroup_make(h->cgroup, file);
	if (h->cgroup >= 0 && cg < 0)
		return err_sys(err, cg, "cgroup %s/%s", h->state->cgroup, file);
	const char *tree = c->layout.path ? c->layout.path : c->layout.upper;
	rc = limits_apply(cg, j, tree, notes, err);
	if (rc == 0)
		rc = limits_disk(&h->store, j, c->path, err);
	if (rc < 0)
		return rc;
	struct log place autodone(log_done) = log_of_conf(j, r, h->state->root);
	log_rotate(&place);
	autoclose int log = log_open_append(&place, true, err);
	if (log < 0 && err->code)
		return -err->code;
	struct spawn sp = {.record = r, .mounts = &c->mounts, .net = &c->net, .privs = &c->privs};
	sp.domainname = conf_string(j, P_HOST_DOMAINNAME);
	sp.cgroup = cg;
	sp.log = log;
	sp.maxproc = limits_maxproc(cg, j);
	rc = spawn(h->state, &h->net, &sp, out, err);
	to_notes(notes, &c->mounts.notes);
	return rc;
}

/* ---- taking back ---- */

static void keep_first(struct ng_err *err, const struct ng_err *e)
{
	if (e->code && !err->code)
		*err = *e;
}

static void undo_mounts(const struct record *r, struct ng_err *err)
{
	for (size_t i = r->undo.n; i-- > 0;) {
		struct ng_err e = {0};
		if (!str_prefix(r->undo.v[i], UNDO_MOUNT))
			continue;
		const char *path = r->undo.v[i] + strlen(UNDO_MOUNT);
		int rc = mount_detach(path);
		/* Not mounted (any more): the command died before it could, or after it took it
		 * away. */
		if (rc < 0 && rc != -EINVAL && rc != -ENOENT)
			err_sys(&e, rc, "umount %s", path);
		keep_first(err, &e);
	}
}

/* Is anything of it the network's? */
static bool needs_net(const struct record *r)
{
	for (size_t i = 0; i < r->undo.n; i++)
		if (!str_prefix(r->undo.v[i], UNDO_MOUNT))
			return true;
	return false;
}

void create_undo_ahead(struct host *h, const struct record *r)
{
	struct ng_err later = {0}; /* create_undo tells what went wrong */
	if (needs_net(r) && host_net(h, &later) < 0)
		return;
}

int create_undo(struct host *h, const struct record *r, struct ng_err *err)
{
	struct ng_err e = {0};
	undo_mounts(r, err);
	if (needs_net(r) && host_net(h, &e) == 0)
		net_detach(&h->net, r, &e);
	keep_first(err, &e);
	if (h->cgroup >= 0) {
		autofree char *file = state_name(r->name);
		e = (struct ng_err){0};
		int rc = cgroup_remove(h->cgroup, file);
		if (rc < 0 && rc != -ENOENT)
			err_sys(&e, rc, "cgroup %s/%s", h->state->cgroup, file);
		keep_first(err, &e);
	}
	e = (struct ng_err){0};
	int rc = state_remove(h->state, r, &e);
	(void)rc;
	keep_first(err, &e);
	return -err->code;
}
