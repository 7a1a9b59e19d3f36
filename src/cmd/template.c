/* newgate template: the trees that jails are cloned from. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "base/str.h"
#include "cmd/cmd.h"
#include "cmd/output.h"
#include "cmd/storage.h"

static int create(struct store *store, int argc, char **argv)
{
	static const struct option longs[] = {{"from", required_argument, NULL, 'f'}, {0}};
	const char *from = NULL;
	struct ng_err err = {0};

	for (int opt; (opt = getopt_long(argc, argv, "f:", longs, NULL)) != -1;) {
		if (opt != 'f')
			return usage(&cmd_template);
		from = optarg;
	}
	if (optind + 1 == argc && !from)
		warn_msg("made of what? For example --from busybox, or --from debian:bookworm");
	if (optind + 1 != argc || !from)
		return usage(&cmd_template);
	store->note = storage_note;
	int rc = store_template_create(store, argv[optind], from, &err);
	storage_note(NULL, NULL);
	if (rc < 0) {
		warn_msg("%s", err.text);
		return 1;
	}
	printf("%s: made from %s\n", argv[optind], from);
	return 0;
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
	} verbs[] = {{"create", create}, {"list", list}, {"destroy", destroy}};
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
	const char *const names[] = {"create", "list", "destroy"};
	const char *near = str_nearest(argv[1], names, ARRAY_SIZE(names));
	warn_msg("\"%s\" is none of create, list, destroy%s%s%s", argv[1],
		 near ? " (did you mean \"" : "", near ? near : "", near ? "\"?)" : "");
	return usage(&cmd_template);
}

const struct cmd cmd_template = {
    .name = "template",
    .run = template_run,
    .args = "create NAME --from busybox | debian:SUITE | DIR | FILE.tar[.gz|.xz|.zst]\n"
	    "list [--json]\n"
	    "destroy [-y] NAME …",
    .summary = "keeps the trees that jails are cloned from",
    .help = "  create   makes one: from the host's static busybox, by mmdebstrap, as a copy of\n"
	    "           a directory, or from an archive\n"
	    "  list     lists them, with the number of clones that need each\n"
	    "  destroy  removes one that no clone needs; -y: without asking\n",
};
