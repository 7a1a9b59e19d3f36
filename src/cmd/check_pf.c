/* newgate check: pf.conf, as far as nftables. */
#include "cmd/check.h"

#include <string.h>

#include "base/file.h"
#include "base/str.h"
#include "cmd/cmd.h"
#include "conf/files.h"
#include "firewall/firewall.h"
#include "firewall/lockout.h"
#include "pf/lower.h"

static int read_below(void *arg UNUSED, const char *path, char **text, size_t *len)
{
	autofree char *full = files_path(cmd_root, path);
	return file_read(*path == '/' ? full : path, text, len);
}

/* "IF ADDR/LEN" of the interfaces that rc.conf makes for jails. */
static void list_jails(const struct rcconf *rc, struct strv *out)
{
	for (size_t i = 0; i < rc->ninterfaces; i++) {
		const struct rc_interface *f = &rc->interface[i];
		for (size_t k = 0; k < f->naddrs && f->cloned; k++) {
			char text[IPNET_TEXT];
			strv_addf(out, "%s %s", f->name, ipnet_text(&f->addr[k], text));
		}
	}
}

static int read_host(const struct rcconf *rc, struct firewall_host *host, struct ng_err *err)
{
	autodone(strv_done) struct strv jails = {0};
	struct nl route = {0};

	list_jails(rc, &jails);
	int r = nl_open(&route, NETLINK_ROUTE);
	if (r < 0)
		return err_sys(err, r, "netlink");
	r = firewall_host_read(host, &route, &jails, err);
	nl_close(&route);
	return r;
}

/* What can be read may still be more than nftables can do. */
static bool check_lowered(const struct pf *pf, const struct pf_host *host, struct diags *d)
{
	struct lower l = {0};
	unsigned before = d->errors;
	pf_lower(&l, pf, host, d);
	lower_done(&l);
	return d->errors == before;
}

/* Would loading it end the session that this may be typed in? */
static void check_lockout(const struct rcconf *rc, const struct pf *pf, const struct pf_host *host,
			  struct diags *d)
{
	autodone(state_done) struct state s = {.dir = -1};
	struct ng_err err = {0};
	struct nl route = {0}, filter = {0};

	if (state_open(&s, cmd_root, &err) < 0 || nl_open(&route, NETLINK_ROUTE) < 0)
		return;
	if (nl_open(&filter, NETLINK_NETFILTER) == 0) {
		firewall_lockout(pf, host, &route, &filter, firewall_is_on(&s, rc), d);
		nl_close(&filter);
	}
	nl_close(&route);
}

size_t check_pf_read(const struct rcconf *rc, const char *path, struct pf *pf,
		     struct firewall_host *host, struct diags *d)
{
	struct ng_err err = {0};
	autofree char *text = NULL, *full = NULL;
	size_t len = 0;

	if (!path && !rc->pf_enable)
		return 0;
	const char *name = path ? path : rc->pf_rules;
	if (!path)
		path = full = files_path(cmd_root, rc->pf_rules);
	struct pos whole = {.file = name};
	int r = file_read(path, &text, &len);
	if (r < 0) {
		diag_error(d, whole, "%s%s", strerror(-r),
			   full ? " (rc.conf has pf_enable=\"YES\")" : "");
		return 0;
	}
	if (read_host(rc, host, &err) < 0) {
		diag_error(d, whole, "the host's interfaces: %s", err.text);
		return 1;
	}
	const struct pf_reader reader = {.read = read_below, .host = &host->host};
	pf_read(pf, &reader, name, text, len, d);
	pf_finish(pf, &reader, d);
	return 1 + pf->files.n;
}

size_t check_pf(const struct rcconf *rc, const char *path, struct diags *d)
{
	autodone(firewall_host_done) struct firewall_host host = {0};
	autodone(pf_done) struct pf pf = {0};
	unsigned before = d->errors;
	size_t n = check_pf_read(rc, path, &pf, &host, d);

	if (n && d->errors == before && check_lowered(&pf, &host.host, d))
		check_lockout(rc, &pf, &host.host, d);
	return n;
}
