/* jexec(8): a command in a running jail. */
#include <getopt.h>
#include <string.h>
#include "base/str.h"
#include "cmd/cmd.h"
#include "cmd/enter.h"

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
	return enter_jail(argv[optind], &a);
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
