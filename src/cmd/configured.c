#include "cmd/configured.h"

#include <stdio.h>
#include <string.h>
#include "base/mem.h"
#include "base/str.h"
#include "cmd/cmd.h"
#include "conf/check.h"
#include "conf/files.h"

static int open_rc(struct configured *c)
{
	struct diags d autodone(diags_done) = {0};
	autofree char *path = files_path(cmd_root, "/etc/rc.conf");
	int rc = rcconf_read(&c->rc, path, &d);
	return !tell_diags(&d, false) || rc < 0;
}

int configured_open_rest(struct configured *c)
{
	struct ng_err err = {0};
	c->state.dir = -1;
	if (open_rc(c))
		return 1;
	if (state_open(&c->state, cmd_root, &err) < 0) {
		warn_msg("%s", err.text);
		return 1;
	}
	return 0;
}

int configured_open(struct configured *c)
{
	int rc = files_read_all(&c->conf, cmd_root, &c->diags);
	if (rc == 0 && !c->diags.errors)
		rc = conf_check_all(&c->conf, &c->diags);
	if (!tell_diags(&c->diags, true) || rc < 0)
		return 1;
	return configured_open_rest(c);
}

void configured_done(struct configured *c)
{
	conf_done(&c->conf);
	rcconf_done(&c->rc);
	diags_done(&c->diags);
	state_done(&c->state);
}

bool configured_knows(struct configured *c, const char *name)
{
	struct record r autodone(record_done) = {0};
	struct ng_err none = {0};
	size_t n;
	if (conf_find(&c->conf, name) || state_find(&c->state, name, &r, &none) == 0)
		return true;
	autofree const char **names = conf_names(&c->conf, &n);
	const char *near = str_nearest(name, names, n);
	if (near)
		warn_msg("there is no jail \"%s\" (did you mean \"%s\"?)", name, near);
	else
		warn_msg("there is no jail \"%s\": no file configures it, and none of that name "
			 "runs",
			 name);
	return false;
}

static void on_note(void *arg, const char *jail, const char *text)
{
	(void)arg;
	printf("%s%s%s\n", jail ? jail : "", jail ? ": " : "", text);
	fflush(stdout);
}

static void on_error(void *arg, const char *jail, const char *text)
{
	(void)arg;
	warn_msg("%s%s%s", jail ? jail : "", jail ? ": " : "", text);
}

const struct run_sink configured_sink = {.note = on_note, .error = on_error};
