/* newgate host site: web sites, of files or of another jail. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"
#include "cmd/cmd.h"
#include "cmd/hosting.h"
#include "net/net.h"

/* "JAIL:PORT" -> "proxy JAIL PORT"; told where it is not that. */
static bool proxy_of(const char *text, struct str *out)
{
	const char *colon = strrchr(text, ':');
	uint32_t port;

	if (!colon || colon == text || num_u32(colon + 1, 1, 65535, &port) < 0 ||
	    strcspn(text, " \t/") < strlen(text)) {
		warn_msg("--proxy %s: JAIL:PORT, such as app:8080", text);
		return false;
	}
	str_addf(out, "proxy %.*s %u", (int)(colon - text), text, port);
	return true;
}

/* Has the jail an address, by which the web jail finds it? Yes where none has yet, as nothing runs. */
static bool has_address(const struct hosting *g, const char *jail)
{
	autofree char *path = host_path(&g->h, "/run/newgate/" NET_HOSTS), *text = NULL;
	struct strv words autodone(strv_done) = {0};
	size_t n;

	if (file_read(path, &text, &n) < 0)
		return true;
	strv_split(&words, text, " \t\n");
	return strv_has(&words, jail);
}

static int site_add(int argc, char **argv)
{
	static const struct option longs[] = {{"proxy", required_argument, NULL, 'p'}, {0}};
	struct hosting g autodone(hosting_done) = HOSTING_NONE;
	struct str what autodone(str_done) = {0}, line autodone(str_done) = {0};
	struct strv proxy autodone(strv_done) = {0};
	struct ng_err err = {0};
	const char *why;

	for (int opt; (opt = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
		if (opt != 'p' || what.len)
			return host_usage();
		if (!proxy_of(optarg, &what))
			return 1;
	}
	if (optind + 1 != argc)
		return host_usage();
	autofree char *name = host_domain(argv[optind], &why);
	if (!name) {
		warn_msg("\"%s\" %s", argv[optind], why);
		return 1;
	}
	if (hosting_open(&g, true))
		return 1;
	strv_split(&proxy, str_text(&what), " ");
	if (proxy.n && !has_address(&g, proxy.v[1])) {
		warn_msg("jail %s has no address yet; to start it first: newgate up %s", proxy.v[1],
			 proxy.v[1]);
		return 1;
	}
	autofree char *files = host_path(&g.h, HOST_DATA "/web/sites/%s", name);
	int rc = what.len ? 0 : file_mkdirs(files, 0755);
	if (rc < 0) {
		err_sys(&err, rc, "%s", files);
		warn_msg("%s", err.text);
		return 1;
	}
	str_addf(&line, "%s %s", name, what.len ? what.s : "static");
	host_set(&g.l, LIST_SITES, name, line.s);
	if (host_lists_write(&g.h, &g.l, LIST_SITES, &err) < 0) {
		warn_msg("%s", err.text);
		return 1;
	}
	if (hosting_files(&g) || hosting_reload(&g, "web"))
		return 1;
	if (what.len)
		printf("%s leads to %s; to open the way there: newgate up web\n", name, what.s + 6);
	else
		printf("%s is served from " HOST_DATA "/web/sites/%s\n", name, name);
	if (!str_eq(g.h.acme, "none"))
		puts("to have it in the certificate, once its name leads here: newgate host renew");
	return 0;
}

/* What newgate made goes; what somebody changed stays, under a name that nginx does not read. */
static int put_aside(const char *conf, const char *made)
{
	autofree char *now = NULL, *then = NULL;
	struct str kept autodone(str_done) = {0};
	size_t n;
	bool users = file_read(conf, &now, &n) == 0 &&
		     (file_read(made, &then, &n) < 0 || !str_eq(now, then));
	int rc;

	str_addf(&kept, "%s.removed", conf);
	rc = users ? rename(conf, kept.s) : unlink(conf);
	if (rc < 0 && errno != ENOENT) {
		warn_msg("%s: %s", conf, strerror(errno));
		return 1;
	}
	if (users)
		printf("what you changed is kept as %s\n", kept.s);
	(void)unlink(made);
	return 0;
}

static int site_remove(int argc, char **argv)
{
	struct hosting g autodone(hosting_done) = HOSTING_NONE;
	struct ng_err err = {0};

	if (argc != 2)
		return host_usage();
	if (hosting_open(&g, true))
		return 1;
	int at = host_entry(&g.l, LIST_SITES, argv[1]);
	if (at < 0) {
		warn_msg("there is no site %s: newgate host site list", argv[1]);
		return 1;
	}
	autofree char *name = NULL;
	const char *what;
	size_t i = (size_t)at;
	host_next(&g.l, LIST_SITES, &i, &name, &what);
	host_unset(&g.l, LIST_SITES, at);
	if (host_lists_write(&g.h, &g.l, LIST_SITES, &err) < 0) {
		warn_msg("%s", err.text);
		return 1;
	}
	autofree char *conf = host_path(&g.h, HOST_SITES "/%s.conf", name);
	autofree char *made = host_path(&g.h, HOST_DATA "/made" HOST_SITES "/%s.conf", name);
	if (put_aside(conf, made))
		return 1;
	if (hosting_files(&g) || hosting_reload(&g, "web"))
		return 1;
	printf("%s is served no more; its files stay where they are\n", name);
	return 0;
}

static void add_serves(const struct hosting *g UNUSED, struct output *o, const char *what)
{
	output_str(o, "serves", "SERVES", what);
}

static int site_list(int argc, char **argv)
{
	return host_list(argc, argv, LIST_SITES, "sites", "site", "SITE", add_serves);
}

int host_site_verbs(int argc, char **argv)
{
	static const struct host_verb v[] = {
	    {"add", site_add}, {"remove", site_remove}, {"list", site_list}};

	return host_dispatch(v, ARRAY_SIZE(v), "newgate host site", argc, argv);
}
