/* pf.conf as the firewall: loaded beside the chains of jails, in one transaction with them. */
#include <fcntl.h>
#include <sys/file.h>
#include "base/mem.h"
#include "firewall/firewall.h"
#include "net/elem.h"
#include "net/range.h"
#include "net/rules.h"
#include "sys/fd.h"

/* "IF ADDR/LEN" of the interfaces that stand for the jails' pairs: those that were made, and those
 * that rc.conf says are to be. */
static void list_jails(struct net *n, const struct strv *made, struct strv *out)
{
	char text[IPNET_TEXT];

	for (size_t i = 0; i < made->n; i++)
		strv_add(out, made->v[i]);
	for (size_t i = 0; i < n->nranges; i++)
		for (size_t k = 0; k < n->range[i]->ngws && n->range[i]->ours; k++) {
			struct str line autodone(str_done) = {0};

			str_addf(&line, "%s %s", n->range[i]->ifname,
				 ipnet_text(&n->range[i]->gw[k], text));
			if (!strv_has(out, line.s))
				strv_add(out, line.s);
		}
}

int pf_open(struct net *n, struct firewall *pf, struct ng_err *err)
{
	return firewall_open(pf, n->state, n->rc, &n->route, &n->filter, err);
}

/* Where nobody asked for the faults one by one, the first must do. */
static int first_fault(const struct diags *d, int rc, struct ng_err *err)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->v[i].level == DIAG_ERROR) {
			autofree char *text = diag_format(&d->v[i]);
			return err_set(err, EINVAL, "%s", text);
		}
	return rc;
}

int pf_ready(struct net *n, const struct rules_facts *f, struct ng_err *err)
{
	struct strv jails autodone(strv_done) = {0};
	struct diags d autodone(diags_done) = {0};

	if (!f->pf || f->pf->made)
		return 0;
	list_jails(n, f->made, &jails);
	int rc = firewall_make(f->pf, &jails, NULL, &d, err);
	return rc < 0 ? first_fault(&d, rc, err) : 0;
}

/* --- as pfctl asks for it --- */

static int open_made(struct net *n, struct strv *made, struct ng_err *err)
{
	autoclose int fd =
	    openat(n->state->dir, RANGE_MADE, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0 || flock(fd, LOCK_EX) < 0)
		return err_sys(err, errno, "/run/newgate/" RANGE_MADE);
	int rc = range_read_made(fd, made);
	if (rc < 0)
		return err_sys(err, rc, "/run/newgate/" RANGE_MADE);
	range_sort_made(made);
	return take_fd(&fd);
}

/* What jail.conf asks for of a jail that runs counts only where the rules name it. */
static int warn_unnamed(struct net *n, const struct firewall *f, struct diags *d,
			struct ng_err *err)
{
	static const char *const words[] = {"rdr", "allow.connect", "nat.source"};
	struct record *r = NULL;
	size_t count = 0;
	int rc = f->lower.newgate ? 0 : state_all(n->state, &r, &count, err);

	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < ARRAY_SIZE(words) && !r[i].dead; k++)
			if (record_param(&r[i], words[k]))
				diag_warn(
				    d, (struct pos){.file = n->rc->pf_rules},
				    "jail \"%s\" has %s in jail.conf, which counts only where "
				    "these rules name it: nat-anchor \"newgate/*\", rdr-anchor "
				    "\"newgate/*\", anchor \"newgate/*\"",
				    r[i].name, words[k]);
		record_done(&r[i]);
	}
	free(r);
	return rc;
}

int net_pf_make(struct net *n, const struct firewall_load *load, struct firewall *f,
		struct diags *d, struct ng_err *err)
{
	struct strv made autodone(strv_done) = {0}, jails autodone(strv_done) = {0};

	*f = (struct firewall){.lock = -1};
	int rc = pf_open(n, f, err);
	autoclose int lock = rc < 0 ? -1 : open_made(n, &made, err);
	if (rc == 0 && lock < 0)
		rc = lock;
	list_jails(n, &made, &jails);
	if (rc == 0)
		rc = firewall_make(f, &jails, load, d, err);
	return rc < 0 ? rc : warn_unnamed(n, f, d, err);
}

/* The facts as net_prepare has them; `made` and `lock` are the caller's. */
static int find_facts(struct net *n, struct firewall *f, struct strv *made,
		      struct rules_facts *facts, int *lock, struct ng_err *err)
{
	char switched[16] = "";

	*lock = open_made(n, made, err);
	if (*lock < 0)
		return *lock;
	if (!n->host->gateway_enable &&
	    fd_get(n->state->dir, NET_FORWARDING, switched, sizeof switched) < 0)
		switched[0] = '\0';
	*facts = (struct rules_facts){.made = made,
				      .drop4 = strchr(switched, '4') != NULL,
				      .drop6 = strchr(switched, '6') != NULL,
				      .pf = f};
	return 0;
}

static int load_table(struct net *n, struct firewall *f, bool *loaded, struct ng_err *err)
{
	struct strv made autodone(strv_done) = {0};
	struct rules_facts facts;
	autoclose int lock = -1;
	int rc = find_facts(n, f, &made, &facts, &lock, err);
	return rc < 0 ? rc : rules_ready(n, &facts, loaded, err);
}

int net_pf_is_loaded(struct net *n, const struct firewall *f, struct ng_err *err)
{
	struct strv made autodone(strv_done) = {0};
	struct rules_facts facts;
	autoclose int lock = -1;
	int rc = find_facts(n, (struct firewall *)f, &made, &facts, &lock, err);
	if (rc == 0)
		rc = f->same ? rules_are_loaded(n, &facts, err) : 0;
	return rc;
}

int net_pf_load(struct net *n, struct firewall *f, struct ng_err *err)
{
	bool loaded = false;
	int rc;

	if (firewall_is_on(n->state, n->rc))
		rc = load_table(n, f, &loaded, err);
	else
		rc = firewall_keep(f, err);
	return rc < 0 ? rc : loaded || !firewall_is_on(n->state, n->rc);
}

int net_pf_switch(struct net *n, bool on, struct diags *d, struct ng_err *err)
{
	autodone(firewall_done) struct firewall f = {.lock = -1};
	bool was = firewall_is_on(n->state, n->rc), loaded = false;
	int rc = on ? net_pf_make(n, NULL, &f, d, err) : 0;

	if (rc == 0 && was == on && on)
		return 0;
	if (rc == 0)
		rc = load_table(n, on ? &f : NULL, &loaded, err);
	if (rc == 0)
		rc = firewall_switch(n->state, on, err);
	if (rc == 0 && !on)
		firewall_leave(n->state);
	return rc < 0 ? rc : was != on;
}

int net_pf_back(struct net *n, struct ng_err *err)
{
	const struct firewall_load before = {.before = true};
	autodone(firewall_done) struct firewall f = {.lock = -1};
	struct diags d autodone(diags_done) = {0};
	struct ng_err e = {0};

	int rc = net_pf_make(n, &before, &f, &d, &e);
	if (rc == -ENOENT) {
		firewall_done(&f);
		rc = net_pf_switch(n, false, &d, err);
		return rc < 0 ? rc : 0;
	}
	if (rc == 0)
		rc = net_pf_load(n, &f, &e);
	if (rc < 0)
		*err = e;
	return rc < 0 ? rc : 1;
}
