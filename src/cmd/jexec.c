/* jexec(8): a command in a running jail. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include "base/mem.h"
#include "base/str.h"
#include "cmd/cmd.h"
#include "jail/attach.h"

/* FreeBSD's jexec becomes the command, so its caller sees the command's own end, signals included.
 */
static int end_like(int status)
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

static void not_found(struct state *s, const char *who)
{
	struct record *r = NULL;
	struct ng_err ignored = {0};
	size_t n = 0;

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

static int enter(const char *who, const struct attach *a)
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
	return end_like(rc);
}

static int jexec_run(int argc, char **argv)
{
	autodone(strv_done) struct strv env = {0};
	struct attach a = {0};

	for (int opt = 0; (opt = getopt(argc, argv, "+d:e:lnu:U:")) != -1;) {
		switch (opt) {
		case 'd':
			a.dir = optarg;
			break;
		case 'e':
			if (!strchr(optarg, '=') || *optarg == '=') {
				warn_msg("-e %s: it reads NAME=VALUE", optarg);
				return usage(&cmd_jexec);
			}
			strv_add(&env, optarg);
			break;
		case 'l':
			a.clean = true;
			break;
		case 'n': /* once: JAIL is a name. It may be, always */
			break;
		case 'u':
			a.host_user = optarg;
			break;
		case 'U':
			a.jail_user = optarg;
			break;
		default:
			return usage(&cmd_jexec);
		}
	}
	if (a.host_user && a.jail_user)
		warn_msg("-u names a user of the host, -U one of the jail: which of them?");
	if (optind == argc || (a.host_user && a.jail_user))
		return usage(&cmd_jexec);
	a.env = env.v;
	a.argv = optind + 1 < argc ? argv + optind + 1 : NULL;
	return enter(argv[optind], &a);
}

const struct cmd cmd_jexec = {
    .name = "jexec",
    .link = true,
    .run = jexec_run,
    .args = "[-l] [-d DIR] [-e NAME=VALUE …] [-u USER | -U USER] JAIL [COMMAND …]",
    .summary = "runs a command, or a shell, in a jail",
    .help = "  -l       a clean environment, and the user's home as directory\n"
	    "  -d DIR   this directory instead of /\n"
	    "  -e NAME=VALUE\n"
	    "           adds to the environment\n"
	    "  -u USER  as this user of the host\n"
	    "  -U USER  as this user of the jail\n"
	    "\n"
	    "JAIL is a name or a number. The exit status is the command's.\n",
};
