/* newgate template: the trees that jails are cloned from. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmd/cmd.h"
#include "cmd/output.h"
#include "cmd/progress.h"
#include "cmd/storage.h"
#include "cmd/trial.h"

struct options {
	const char *from, *run;
	struct str include;
	bool fresh;
};

static void options_done(struct options *o)
{
	str_done(&o->include);
}

static bool parse(struct options *o, int argc, char **argv, bool update)
{
	static const struct option longs[] = {{"run", required_argument, NULL, 'r'},
					      {"fresh", no_argument, NULL, 'n'},
					      {"from", required_argument, NULL, 'f'},
					      {"include", required_argument, NULL, 'i'},
					      {0}};
	static const struct option update_longs[] = {
	    {"run", required_argument, NULL, 'r'}, {"fresh", no_argument, NULL, 'n'}, {0}};

	for (int opt; (opt = getopt_long(argc, argv, update ? "" : "f:",
					 update ? update_longs : longs, NULL)) != -1;) {
		switch (opt) {
		case 'f':
			o->from = optarg;
			break;
		case 'i':
			str_addf(&o->include, "%s%s", o->include.len > 0 ? "," : "", optarg);
			break;
		case 'r':
			o->run = optarg;
			break;
		case 'n':
			o->fresh = true;
			break;
		default:
			return false;
		}
	}
	return optind + 1 == argc;
}

/* In one order, each once: the same packages are the same however they are listed. */
static char *sorted(const char *include)
{
	autodone(strv_done) struct strv names = {0};
	autodone(str_done) struct str out = {0};

	strv_split(&names, include, ", ");
	strv_sort(&names);
	for (size_t i = 0; i < names.n; i++)
		if (i == 0 || !str_eq(names.v[i], names.v[i - 1]))
			str_addf(&out, "%s%s", out.len > 0 ? "," : "", names.v[i]);
	return out.len > 0 ? str_take(&out) : NULL;
}

static int read_script(const char *path, char **text)
{
	size_t len;

	if (!path)
		return 0;
	int rc = file_read(path, text, &len);
	if (rc == 0 && strlen(*text) == len && len > 0)
		return 0;
	warn_msg("--run %s: %s", path,
		 rc < 0     ? strerror(-rc)
		 : len == 0 ? "it is empty"
			    : "it is no text");
	return -1;
}

static void say_made(const struct store_made *m, const char *name)
{
	if (m->same)
		printf("%s: up to date: nothing that %s is made of has changed\n", name, m->name);
	else if (m->like)
		printf("%s: made from %s, as %s was (--fresh makes it anew)\n", m->name, m->from,
		       m->like);
	else
		printf("%s: made from %s\n", m->name, m->from);
}

static int make(struct store *store, const char *name, const struct options *o, bool update)
{
	autodone(store_made_done) struct store_made made = {0};
	autofree char *include = sorted(str_text(&o->include));
	autofree char *script = NULL;
	struct ng_err err = {0};

	if (read_script(o->run, &script) < 0)
		return 1;
	const struct store_recipe r = {
	    .from = o->from,
	    .include = include,
	    .script = script,
	    .fresh = o->fresh,
	    .run = trial_run,
	};
	progress_attach(store);
	int rc = update ? store_template_update(store, name, &r, &made, &err)
			: store_template_make(store, name, &r, &made, &err);
	progress_end();
	if (rc < 0) {
		warn_msg("%s", err.text);
		return 1;
	}
	say_made(&made, name);
	return 0;
}

static int create(struct store *store, int argc, char **argv)
{
	autodone(options_done) struct options o = {0};

	if (!parse(&o, argc, argv, false))
		return usage(&cmd_template);
	if (!o.from) {
		warn_msg("made of what? For example --from busybox, or --from debian:bookworm");
		return usage(&cmd_template);
	}
	return make(store, argv[optind], &o, false);
}

static int update(struct store *store, int argc, char **argv)
{
	autodone(options_done) struct options o = {0};

	if (!parse(&o, argc, argv, true))
		return usage(&cmd_template);
	return make(store, argv[optind], &o, true);
}

static int list(struct store *store, int argc, char **argv)
{
	static const struct option longs[] = {{"json", no_argument, NULL, 'j'}, {0}};
	struct store_template *t = NULL;
	struct ng_err err = {0};
	bool json = false;
	size_t n = 0;

	for (int opt; (opt = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
		if (opt != 'j')
			return usage(&cmd_template);
		json = true;
	}
	if (optind != argc)
		return usage(&cmd_template);
	if (store_templates(store, &t, &n, &err) < 0) {
		warn_msg("%s", err.text);
		return 1;
	}
	struct output *o = output_open(stdout, json, "templates");
	for (size_t i = 0; i < n; i++) {
		char made[32] = "";
		struct tm tm;

		if (localtime_r(&(time_t){t[i].made}, &tm))
			strftime(made, sizeof(made), "%Y-%m-%dT%H:%M:%S%z", &tm);
		output_row(o);
		output_str(o, "name", "NAME", t[i].name);
		output_num(o, "version", "VERSION", t[i].version);
		output_str(o, "from", "FROM", t[i].from);
		output_bytes(o, "size", "SIZE", t[i].bytes);
		output_num(o, "clones", "CLONES", t[i].clones);
		output_str(o, "made", "MADE", made);
	}
	store_templates_free(t, n);
	return output_close(o) < 0;
}

static int destroy(struct store *store, int argc, char **argv)
{
	struct ng_err err = {0};
	bool yes = false;
	int status = 0;

	for (int opt; (opt = getopt(argc, argv, "y")) != -1;) {
		if (opt != 'y')
			return usage(&cmd_template);
		yes = true;
	}
	if (optind == argc)
		return usage(&cmd_template);
	for (int i = optind; i < argc; i++) {
		if (store_has_template(store, argv[i]) && !yes &&
		    !storage_ask("Destroy template %s?", argv[i]))
			return 1;
		if (store_template_destroy(store, argv[i], &err) == 0)
			continue;
		warn_msg("%s", err.text);
		status = 1;
	}
	return status;
}

static int template_run(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(struct store *store, int argc, char **argv);
	} verbs[] = {{"create", create}, {"update", update}, {"list", list}, {"destroy", destroy}};
	autodone(store_done) struct store store = {0};
	struct ng_err err = {0};

	if (argc < 2)
		return usage(&cmd_template);
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (!str_eq(argv[1], verbs[i].name))
			continue;
		if (store_open(&store, cmd_root, &err) < 0) {
			warn_msg("%s", err.text);
			return 1;
		}
		return verbs[i].run(&store, argc - 1, argv + 1);
	}
	const char *const names[] = {"create", "update", "list", "destroy"};
	const char *near = str_nearest(argv[1], names, ARRAY_SIZE(names));
	warn_msg("\"%s\" is none of create, update, list, destroy%s%s%s", argv[1],
		 near ? " (did you mean \"" : "", near ? near : "", near ? "\"?)" : "");
	return usage(&cmd_template);
}

const struct cmd cmd_template = {
    .name = "template",
    .run = template_run,
    .args = "create NAME --from SOURCE [--include PACKAGE,…] [--run SCRIPT] [--fresh]\n"
	    "update NAME [--run SCRIPT] [--fresh]\n"
	    "list [--json]\n"
	    "destroy [-y] NAME[@VERSION] …",
    .summary = "keeps the trees that jails are cloned from",
    .help =
	"  create   makes one; SOURCE is\n"
	"             busybox             the host's static busybox\n"
	"             debian:SUITE        by mmdebstrap, with the packages of --include\n"
	"             DIR                 a copy of a directory\n"
	"             FILE.tar[.gz|.xz|.zst]\n"
	"             oci:DIR[:TAG]       an OCI image layout\n"
	"             NAME[@VERSION]      a template; --run: what SCRIPT makes of it in a jail\n"
	"  update   makes a new version beside the old, NAME@2 and so on, of what went into\n"
	"           the newest; with --run by running SCRIPT in that. Clones keep theirs:\n"
	"           newgate rebase brings them onto it\n"
	"  list     lists them, with the number of clones of each\n"
	"  destroy  removes one that no clone needs; -y: without asking\n"
	"\n"
	"What was made of the very same before is not made again; --fresh makes it anew.\n",
};
