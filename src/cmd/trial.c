#include "cmd/trial.h"

#include <string.h>
#include <sys/wait.h>
#include "base/mem.h"
#include "base/str.h"
#include "cmd/cmd.h"
#include "cmd/configured.h"
#include "cmd/held.h"
#include "cmd/progress.h"
#include "cmd/storage.h"
#include "jail/attach.h"

#define SCRIPT_MAX (127 * 1024) /* the kernel's limit of one argument, less what stands before it */

static bool runs(struct configured *c, const char *jail)
{
	autodone(record_done) struct record r = {0};
	struct ng_err ignored = {0};

	return state_find(&c->state, jail, &r, &ignored) == 0;
}

static int end(struct configured *c, const char *jail, struct ng_err *err)
{
	const struct run_options o = {.op = RUN_REMOVE | RUN_FORCE, .quiet = true, .aside = true};

	if (runs(c, jail) &&
	    run_jails(&c->state, &c->conf, &c->rc, &o, &jail, 1, &configured_sink) != 0)
		return err_set(err, EIO, "jail %s could not be ended", jail);
	return storage_free_leases(jail, err);
}

static int begin(struct configured *c, const char *jail, const char *path, struct ng_err *err)
{
	const struct run_options o = {.op = RUN_CREATE, .quiet = true, .aside = true};
	autodone(diags_done) struct diags d = {0};
	autodone(str_done) struct str at = {0};
	static const char *const params[] = {"host.hostname=build", "ip4.addr=auto", "exec.clean",
					     "mount.devfs", "persist"};

	str_addf(&at, "path=%s", path + strlen(cmd_root));
	conf_add_argument(&c->conf, jail, at.s, &d);
	for (size_t i = 0; i < ARRAY_SIZE(params); i++)
		conf_add_argument(&c->conf, jail, params[i], &d);
	if (!tell_diags(&d, true) ||
	    run_jails(&c->state, &c->conf, &c->rc, &o, &jail, 1, &configured_sink) != 0)
		return err_set(err, EIO, "the jail for the script could not be started");
	return 0;
}

/* "#!/bin/bash -e" gives those words, then -c, the text, and a name for messages. */
static void command_line(const char *script, struct strv *argv)
{
	if (str_prefix(script, "#!")) {
		autofree char *line = mem_strndup(script + 2, strcspn(script + 2, "\n"));
		strv_split(argv, line, " \t\r");
	}
	if (argv->n == 0) {
		strv_add(argv, "/bin/sh");
		strv_add(argv, "-e");
	}
	strv_add(argv, "-c");
	strv_add(argv, script);
	strv_add(argv, "script");
}

static int run_inside(struct configured *c, const char *jail, const char *script,
		      const sigset_t *mask, struct ng_err *err)
{
	autodone(record_done) struct record r = {0};
	autodone(strv_done) struct strv argv = {0};
	int rc = state_find(&c->state, jail, &r, err);

	if (rc < 0)
		return rc;
	command_line(script, &argv);
	const struct attach a = {.argv = argv.v, .clean = true, .mask = mask};
	progress_end();
	int status = attach_run(&c->state, &r, &a, err);
	if (status < 0)
		return status;
	if (WIFSIGNALED(status))
		return err_set(err, EINTR, "the script was ended by signal %d", WTERMSIG(status));
	if (WEXITSTATUS(status) != 0)
		return err_set(err, EIO, "the script ended with status %d", WEXITSTATUS(status));
	return 0;
}

int trial_run(void *arg, const char *jail, const char *path, const char *script, struct ng_err *err)
{
	autodone(configured_done) struct configured c = {0};
	struct ng_err after = {0};
	sigset_t mask;

	(void)arg;
	if (script && strlen(script) > SCRIPT_MAX)
		return err_set(err, E2BIG,
			       "the script is longer than %d bytes: put the most of it into a file "
			       "of the template",
			       SCRIPT_MAX);
	if (configured_open_rest(&c) != 0)
		return err_set(err, EINVAL, "a jail for the script cannot be started");
	if (!script)
		return end(&c, jail, err);
	held_begin(&mask);
	int rc = begin(&c, jail, path, err);
	if (rc == 0)
		rc = run_inside(&c, jail, script, &mask, err);
	if (held_came() && rc == 0)
		rc = err_set(err, EINTR, "interrupted");
	int ended = end(&c, jail, &after);
	if (rc == 0 && ended < 0)
		*err = after;
	return rc < 0 ? rc : ended;
}
