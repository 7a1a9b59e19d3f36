#include "host/upgrade.h"

#include <string.h>
#include "base/mem.h"
#include "host/files.h"
#include "host/inside.h"
#include "store/version.h"

#define SECONDS 30 /* until a service listens */

/* Of what the newest version of the template was made; NULL: there is no such template. */
static char *newest_from(const struct store *s, const char *name, struct ng_err *err)
{
	struct store_template *t = NULL;
	char *from = NULL;
	size_t n = 0;

	if (store_templates(s, &t, &n, err) < 0)
		return NULL;
	/* In the order of their versions. */
	for (size_t i = 0; i < n; i++)
		if (str_eq(t[i].name, name)) {
			free(from);
			from = mem_strdup(t[i].from);
		}
	store_templates_free(t, n);
	return from;
}

/* What somebody made of something else than Debian's packages, only that somebody makes anew. */
static int fetch(struct store *s, const char *jail, const char *packages, const char *from,
		 struct ng_err *err)
{
	autodone(store_made_done) struct store_made made = {0};
	const struct store_recipe r = {.include = host_template_packages(jail)};

	return str_prefix(from, "debian:") ? store_template_update(s, packages, &r, &made, err) : 0;
}

int upgrade_template(struct store *s, const char *jail, trees_run *run, char **made,
		     struct ng_err *err)
{
	autodone(store_made_done) struct store_made last = {0};
	autodone(str_done) struct str name = {0}, packages = {0};

	*made = NULL;
	str_addf(&name, "host-%s", jail);
	str_addf(&packages, "%s-packages", name.s);
	autofree char *from = newest_from(s, packages.s, err);
	autofree char *last_from = err->code ? NULL : newest_from(s, name.s, err);
	/* What somebody made in another way, he makes anew. */
	if (!from || !last_from || !version_same(last_from, packages.s))
		return err->code ? -err->code : 0;
	int rc = fetch(s, jail, packages.s, from, err);
	const struct store_recipe r = {
	    .script = host_template_script(jail), .again = true, .run = run};
	if (rc == 0)
		rc = store_template_update(s, name.s, &r, &last, err);
	if (rc == 0 && !last.same)
		*made = mem_strdup(last.name);
	return rc;
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
