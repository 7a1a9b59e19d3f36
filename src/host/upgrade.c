#include "host/upgrade.h"

#include <string.h>
#include "base/mem.h"
#include "host/files.h"
#include "host/inside.h"
#include "store/version.h"

#define SECONDS 30 /* until a service listens */

/* The newest version of a template. Strings owned; NULL: there is no such template. */
struct newest {
	char *name, *from;
	unsigned clones;
};

static void newest_done(struct newest *n)
{
	free(n->name);
	free(n->from);
}

static int find_newest(const struct store *s, const char *name, struct newest *out,
		       struct ng_err *err)
{
	struct store_template *t = NULL;
	size_t n = 0;
	int rc = store_templates(s, &t, &n, err);

	if (rc < 0)
		return rc;
	/* In the order of their versions. */
	for (size_t i = 0; i < n; i++) {
		if (!str_eq(t[i].name, name))
			continue;
		newest_done(out);
		*out = (struct newest){version_folder(name, t[i].version), mem_strdup(t[i].from),
				       t[i].clones};
	}
	store_templates_free(t, n);
	return 0;
}

static bool is_debian(const struct newest *n)
{
	return n->from && str_prefix(n->from, "debian:");
}

static int make_version(struct store *s, const char *jail, const char *name, trees_run *run,
			char **made, struct ng_err *err)
{
	autodone(store_made_done) struct store_made last = {0};
	const struct store_recipe r = {
	    .script = host_template_script(jail), .again = true, .run = run};
	int rc = store_template_update(s, name, &r, &last, err);

	if (rc == 0 && !last.same)
		*made = mem_strdup(last.name);
	return rc;
}

int upgrade_template(struct store *s, const char *jail, trees_run *run, char **made,
		     struct ng_err *err)
{
	autodone(newest_done) struct newest own = {0}, packages = {0};
	autodone(store_made_done) struct store_made fetched = {0};
	autodone(str_done) struct str name = {0}, below = {0};
	const struct store_recipe fetch = {.include = host_template_packages(jail)};

	*made = NULL;
	str_addf(&name, "host-%s", jail);
	str_addf(&below, "%s-packages", name.s);
	int rc = find_newest(s, name.s, &own, err);
	if (rc == 0)
		rc = find_newest(s, below.s, &packages, err);
	/* What somebody made in another way, he makes anew. */
	if (rc < 0 || !own.from || !packages.from || !version_same(own.from, below.s))
		return rc;
	/* Else a newer one was made already, by a run that was cut short or by somebody. */
	if (str_eq(own.from, packages.name) && own.clones > 0 && is_debian(&packages))
		rc = store_template_update(s, below.s, &fetch, &fetched, err);
	return rc < 0 ? rc : make_version(s, jail, name.s, run, made, err);
}

int upgrade_forget(struct store *s, const char *jail, const char *version, struct ng_err *err)
{
	autodone(newest_done) struct newest packages = {0};
	autodone(str_done) struct str below = {0};

	str_addf(&below, "host-%s-packages", jail);
	int rc = store_template_destroy(s, version, err);
	if (rc == 0)
		rc = find_newest(s, below.s, &packages, err);
	return rc == 0 && is_debian(&packages) ? store_template_destroy(s, packages.name, err) : rc;
}

static int run_script(struct state *st, const char *name, const char *script, struct ng_err *err)
{
	const char *const argv[] = {"/bin/sh", "-c", script, "check", NULL};
	struct str said autodone(str_done) = {0};
	int rc = inside_run(st, name, argv, NULL, &said, err);

	if (rc <= 0)
		return rc;
	while (said.len && said.s[said.len - 1] == '\n')
		said.s[--said.len] = '\0';
	return err_set(err, EINVAL, "its check ended with status %d:\n%.1500s", rc,
		       str_text(&said));
}

int upgrade_check(struct state *st, const char *name, const char *jail, const struct served *want,
		  struct ng_err *err)
{
	const char *script = host_check_script(jail);
	uint16_t port;
	int rc = served_wait(st, name, want, SECONDS, &port, err);

	return rc < 0 || !script ? rc : run_script(st, name, script, err);
}
