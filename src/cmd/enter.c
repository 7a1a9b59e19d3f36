#include "cmd/enter.h"

#include <signal.h>
#include <sys/wait.h>
#include "base/mem.h"
#include "cmd/cmd.h"
#include "conf/files.h"

/* FreeBSD's jexec becomes the command, so its caller sees the command's own end, signals included.
 */
int enter_end_like(int status)
{
	int sig = 0;
	sigset_t only;

	if (!WIFSIGNALED(status))
		return WEXITSTATUS(status);
	sig = WTERMSIG(status);
	signal(sig, SIG_DFL);
	sigemptyset(&only);
	sigaddset(&only, sig);
	sigprocmask(SIG_UNBLOCK, &only, NULL);
	raise(sig);
	return 128 + sig;
}

static bool is_configured(const char *name)
{
	autodone(conf_done) struct conf c = {0};
	autodone(diags_done) struct diags d = {0};
	bool is = false;
	size_t n = 0;

	if (files_read_all(&c, cmd_root, &d) < 0)
		return false;
	autofree const char **names = conf_names(&c, &n);
	for (size_t i = 0; i < n; i++)
		is |= str_eq(names[i], name);
	return is;
}

static void not_found(struct state *s, const char *who)
{
	struct record *r = NULL;
	struct ng_err ignored = {0};
	size_t n = 0;

	if (is_configured(who)) {
		warn_msg("jail \"%s\" not found: it is configured, but does not run", who);
		return;
	}
	if (state_all(s, &r, &n, &ignored) < 0)
		n = 0;
	autofree const char **names = mem_alloc((n + 1) * sizeof(*names));
	for (size_t i = 0; i < n; i++)
		names[i] = r[i].name;
	const char *near = str_nearest(who, names, n);
	warn_msg("jail \"%s\" not found%s%s%s", who, near ? " (did you mean \"" : "",
		 near ? near : "", near ? "\"?)" : "");
	for (size_t i = 0; i < n; i++)
		record_done(&r[i]);
	free(r);
}

int enter_jail(const char *who, const struct attach *a)
{
	autodone(state_done) struct state s = {.dir = -1};
	autodone(record_done) struct record r = {0};
	struct ng_err err = {0};
	int rc = state_open(&s, cmd_root, &err);

	if (rc == 0) {
		rc = state_find(&s, who, &r, &err);
		if (rc == -ENOENT || (rc == 0 && r.dead)) {
			not_found(&s, who);
			return 1;
		}
	}
	if (rc == 0)
		rc = attach_run(&s, &r, a, &err);
	if (rc < 0) {
		warn_msg("%s", err.text);
		return 1;
	}
	return enter_end_like(rc);
}
