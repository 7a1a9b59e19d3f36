/* jail(8)'s command line: which jails are meant, and where they are described. */
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/num.h"
#include "base/str.h"
#include "cmd/cmd.h"
#include "cmd/watching.h"
#include "conf/check.h"
#include "conf/files.h"
#include "conf/print.h"
#include "conf/rcconf.h"
#include "run/run.h"

struct options {
	struct run_options run;
	const char *file, *separator;
	/* What options say of the one jail of the command line; any of them rules the files out. */
	struct strv param;
	const char *name;
	bool dying; /* -d is no description by itself */
};

struct input {
	struct conf conf;
	struct rcconf rc;
	struct diags diags;
};

static void input_done(struct input *in)
{
	conf_done(&in->conf);
	rcconf_done(&in->rc);
	diags_done(&in->diags);
}

/* ---- messages ---- */

static void on_note(void *arg, const char *jail, const char *text)
{
	(void)arg;
	if (jail)
		printf("%s: %s\n", jail, text);
	else
		printf("%s\n", text);
	fflush(stdout);
}

static void on_error(void *arg, const char *jail, const char *text)
{
	(void)arg;
	if (jail)
		warn_msg("%s: %s", jail, text);
	else
		warn_msg("%s", text);
}

/* ---- options ---- */

static int take_option(struct options *o, int opt)
{
	struct run_options *r = &o->run;
	switch (opt) {
	case 'c':
		r->op |= RUN_CREATE;
		return 0;
	case 'm':
		r->op |= RUN_MODIFY;
		return 0;
	case 'r':
		r->op |= RUN_REMOVE;
		return 0;
	case 'R':
		r->op |= RUN_FORCE;
		return 0;
	case 'd':
		o->dying = true;
		return 0;
	case 'e':
		o->separator = optarg;
		return 0;
	case 'f':
		o->file = optarg;
		return 0;
	case 'i':
		r->print_jid = r->quiet = true;
		return 0;
	case 'J':
		r->jid_file = optarg;
		return 0;
	case 'p':
		if (num_u32(optarg, 0, INT_MAX, &r->limit) == 0)
			return 0;
		warn_msg("-p %s: how many jails at once? A number, 0 for all", optarg);
		return -EINVAL;
	case 'q':
		r->quiet = true;
		return 0;
	case 'v':
		r->verbose = true;
		return 0;
	case 'h':
		strv_add(&o->param, "ip_hostname");
		return 0;
	case 'l':
		strv_add(&o->param, "exec.clean");
		return 0;
	case 'n':
		strv_addf(&o->param, "name=%s", optarg);
		return 0;
	case 's':
		strv_addf(&o->param, "securelevel=%s", optarg);
		return 0;
	case 'u':
		strv_addf(&o->param, "exec.jail_user=%s", optarg);
		strv_add(&o->param, "exec.system_jail_user");
		return 0;
	case 'U':
		strv_addf(&o->param, "exec.jail_user=%s", optarg);
		strv_add(&o->param, "exec.nosystem_jail_user");
		return 0;
	default:
		return -EINVAL;
	}
}

/* The options do not go together, or not with the arguments: why, else NULL. */
static const char *contradiction(const struct options *o, int argc, char **argv)
{
	unsigned op = o->run.op;
	bool stops = op == RUN_REMOVE || op == RUN_FORCE;
	bool described = o->param.n > 0 || (argc > 0 && strchr(argv[0], '='));
	if (o->separator)
		return op                   ? "-e only lists: it goes with none of -c, -m, -r, -R"
		       : argc || o->param.n ? "-e lists all that is configured: it takes no jail"
					    : NULL;
	if (op & RUN_FORCE && op != RUN_FORCE)
		return "-R goes without the configuration, so it cannot be with -c, -m or -r";
	if (stops && argc == 0)
		return "which jail? Its name, its number, or '*' for all";
	if (stops && described)
		return "to remove a jail its name or number is enough";
	for (int i = 1; stops && i < argc; i++)
		if (strchr(argv[i], '='))
			return "to remove a jail its name or number is enough";
	if (stops || described || argc == 0)
		return NULL;
	if (op == 0)
		return argc > 3   ? NULL
		       : argc > 2 ? "behind PATH, HOSTNAME and IP the COMMAND is missing"
				  : "one of -c, -m, -r, -R is missing";
	if (argc == 1)
		return NULL;
	for (int i = 1; i < argc; i++)
		if (strchr(argv[i], '='))
			return "a jail that the command line describes begins with a parameter: "
			       "name=NAME";
	return "one jail at a time, or none for all that are configured";
}

/* ---- a jail described by arguments ---- */

/* Relative to where the command is given; only a file's must be absolute. */
static void add_path(struct options *o, const char *path)
{
	autofree char *real = path[0] == '/' ? NULL : realpath(path, NULL);
	strv_addf(&o->param, "path=%s", real ? real : path);
}

static void add_words(struct options *o, char **v)
{
	for (; *v; v++)
		strv_addf(&o->param, "command=%s", *v);
}

static void add_arguments(struct options *o, char **argv)
{
	for (; *argv; argv++) {
		if (str_eq(*argv, "command") || str_prefix(*argv, "command=")) {
			if (argv[0][7])
				strv_add(&o->param, *argv);
			add_words(o, argv + 1);
			return;
		}
		if (str_prefix(*argv, "path="))
			add_path(o, *argv + 5);
		else
			strv_add(&o->param, *argv);
	}
}

/* jail path hostname ip[,…] command … */
static void add_old_form(struct options *o, char **argv)
{
	add_path(o, argv[0]);
	strv_addf(&o->param, "host.hostname=%s", argv[1]);
	struct strv ips autodone(strv_done) = {0};
	strv_split(&ips, argv[2], ",");
	for (size_t i = 0; i < ips.n; i++)
		strv_addf(&o->param, "%s=%s", strchr(ips.v[i], ':') ? "ip6.addr" : "ip4.addr",
			  ips.v[i]);
	add_words(o, argv + 3);
}

/* The block is called as the jail is; without a name by its number, which may be unknown yet. */
static const char *block_name(const struct strv *param)
{
	const char *jid = "";
	for (size_t i = 0; i < param->n; i++) {
		if (str_prefix(param->v[i], "name="))
			return param->v[i] + 5;
		if (str_prefix(param->v[i], "jid="))
			jid = param->v[i] + 4;
	}
	return jid;
}

static void describe(struct options *o, struct input *in)
{
	const char *block = block_name(&o->param);
	for (size_t i = 0; i < o->param.n; i++) {
		conf_add_argument(&in->conf, block, o->param.v[i], &in->diags);
		if (str_prefix(o->param.v[i], "command="))
			o->run.terminal = isatty(STDIN_FILENO);
	}
}

/* ---- files ---- */

/* Removal works on what runs, whatever became of the files: then faults are but told. */
static bool read_files(const struct options *o, struct input *in)
{
	bool stops = o->run.op == RUN_REMOVE;
	int rc = o->file ? conf_read(&in->conf, o->file, &in->diags)
			 : files_read_all(&in->conf, cmd_root, &in->diags);
	if (rc == -ENOENT && stops) {
		diags_done(&in->diags);
		return true;
	}
	if (rc < 0 || in->diags.errors) {
		tell_diags(&in->diags, true);
		return rc < 0 && stops && in->conf.nrecords == 0;
	}
	return true;
}

static bool read_rc(struct input *in)
{
	struct diags d autodone(diags_done) = {0};
	autofree char *path = files_path(cmd_root, "/etc/rc.conf");
	int rc = rcconf_read(&in->rc, path, &d);
	if (rc < 0 && !d.n)
		warn_msg("%s: %s", path, strerror(-rc));
	return tell_diags(&d, false) && rc == 0;
}

static int list(const struct options *o, struct input *in)
{
	size_t n;
	if (!read_files(o, in))
		return 1;
	autofree const char **names = conf_names(&in->conf, &n);
	for (size_t i = 0; i < n; i++) {
		struct conf_jail j autodone(conf_jail_done) = {0};
		struct str line autodone(str_done) = {0};
		if (conf_resolve(&in->conf, names[i], CONF_FOR_LIST, &j, &in->diags) < 0)
			continue;
		conf_print_line(&line, &j, o->separator);
		printf("%s\n", str_text(&line));
	}
	return tell_diags(&in->diags, false) ? 0 : 1;
}

/* Before anything is changed, all of it must make sense: every jail of the files, or the one that
 * was described. That one may lean on jails that run, of which run.h knows more; and a change of it
 * need not say all. */
static bool check(const struct options *o, struct input *in)
{
	struct conf_jail j autodone(conf_jail_done) = {0};
	bool ok = true;
	if (o->run.op & (RUN_CREATE | RUN_MODIFY)) {
		if (!o->run.command_line)
			ok = conf_check_all(&in->conf, &in->diags) == 0;
		else if (o->run.op & RUN_CREATE)
			ok = conf_resolve(&in->conf, block_name(&o->param), CONF_FOR_START, &j,
					  &in->diags) == 0;
	}
	return tell_diags(&in->diags, !o->run.quiet) && ok;
}

static int work(struct options *o, struct input *in, const char *const *names, size_t n)
{
	struct state s autodone(state_done) = {.dir = -1};
	struct run_sink sink = {.note = on_note, .error = on_error};
	struct ng_err err = {0};
	if (!check(o, in) || !read_rc(in))
		return 1;
	if (state_open(&s, cmd_root, &err) < 0) {
		warn_msg("%s", err.text);
		return 1;
	}
	int status = run_jails(&s, &in->conf, &in->rc, &o->run, names, n, &sink);
	if (o->run.op & RUN_CREATE)
		watching_start(&s);
	return status;
}

static int run_named(struct options *o, struct input *in, int argc, char **argv)
{
	if (o->run.op != RUN_FORCE && !read_files(o, in))
		return 1;
	o->run.wildcard_all = argc == 0;
	o->run.aside = o->file != NULL;
	o->run.note_removed =
	    in->conf.nrecords > 0 || argc > 1 || (argc && conf_is_wildcard(argv[0]));
	if (o->run.op == 0)
		o->run.op = RUN_CREATE;
	return work(o, in, (const char *const *)argv, (size_t)argc);
}

static int run_described(struct options *o, struct input *in)
{
	if (o->run.op == 0)
		o->run.op = RUN_CREATE;
	o->run.command_line = true;
	o->run.note_removed = false;
	if (o->dying)
		strv_add(&o->param, "allow.dying");
	describe(o, in);
	return work(o, in, NULL, 0);
}

static int jail_run(int argc, char **argv)
{
	struct options o = {0};
	struct input in autodone(input_done) = {0};
	in.conf.root = cmd_root;
	for (int opt = 0; (opt = getopt(argc, argv, "+cde:f:hiJ:lmn:p:qrRs:u:U:v")) != -1;)
		if (take_option(&o, opt) < 0)
			return usage(&cmd_jail);
	argc -= optind;
	argv += optind;
	int status;
	bool described = o.param.n > 0 || (argc > 0 && strchr(argv[0], '='));
	const char *why = contradiction(&o, argc, argv);
	if (why) {
		warn_msg("%s", why);
		status = usage(&cmd_jail);
	} else if (o.separator) {
		status = list(&o, &in);
	} else if (o.run.op == 0 && argc >= 4 && !strchr(argv[0], '=')) {
		add_old_form(&o, argv);
		status = run_described(&o, &in);
	} else if (o.run.op == 0) {
		status = usage(&cmd_jail);
	} else if (described) {
		add_arguments(&o, argv);
		status = run_described(&o, &in);
	} else {
		status = run_named(&o, &in, argc, argv);
	}
	strv_done(&o.param);
	return status;
}

const struct cmd cmd_jail = {
    .name = "jail",
    .link = true,
    .run = jail_run,
    .args =
	"[-dhilqv] [-J FILE] [-u USER] [-U USER] [-n NAME] -[cmr] PARAM=VALUE … [command=WORD …]\n"
	"[-iqv] [-f FILE] [-J FILE] [-p LIMIT] -[cmr] [JAIL]\n"
	"[-qv] [-f FILE] -[rR] JAIL …\n"
	"[-dhilqv] [-J FILE] [-u USER] [-U USER] [-n NAME] PATH HOSTNAME IP[,IP] COMMAND …\n"
	"[-f FILE] -e SEPARATOR",
    .summary = "makes, changes and removes jails",
    .help =
	"  -c       make; running already is an error\n"
	"  -m       change; together with -c: make or change\n"
	"  -r       remove; together with -c: again from the beginning; with -m: again where\n"
	"           a change needs it\n"
	"  -R       remove without the configuration: no command is run\n"
	"  -e SEP   print what is configured, one jail a line, parameters joined by SEP\n"
	"  -f FILE  the configuration; - is standard input\n"
	"  -i       print the jail's number, and nothing else\n"
	"  -J FILE  write the numbers and parameters of what was made\n"
	"  -p N     so many jails at once; 1: one after the other\n"
	"  -q, -v   say less, or everything that is done\n"
	"  -n NAME, -l, -u USER, -U USER, -s LEVEL, -h, -d   name, exec.clean,\n"
	"           exec.jail_user (-u: one of the host's), securelevel, ip_hostname,\n"
	"           allow.dying of a jail that the command line describes\n"
	"\n"
	"JAIL is a name, a number, or a wildcard such as '*' or 'web.*'; without it, all that are\n"
	"configured. See jail.conf(5) for the parameters.\n",
};
