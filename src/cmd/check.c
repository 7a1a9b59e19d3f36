/* newgate check: every configuration file is read as a start would read it, and all that is wrong
 * is told at once. */
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "base/str.h"
#include "cmd/check.h"
#include "cmd/cmd.h"
#include "cmd/output.h"
#include "cmd/renaming.h"
#include "conf/check.h"
#include "conf/files.h"
#include "conf/rcconf.h"
#include "net/lease.h"
#include "jail/mounts.h"
#include "store/store.h"

struct check {
	struct conf conf;
	struct rcconf rc;
	struct store store;
	struct diags diags;
	bool everything; /* no file was named */
	bool sound;      /* all of jail.conf could be read */
	bool verbose, json;
	size_t jails, files;
	size_t used[PARAM_COUNT]; /* by how many jails */
};

static void check_done(struct check *k)
{
	conf_done(&k->conf);
	rcconf_done(&k->rc);
	store_done(&k->store);
	diags_done(&k->diags);
}

/* ---- reading ---- */

/* What cannot be read is told in the diagnostics. */

static void read_rc(struct check *k, const char *path)
{
	k->files += access(path, F_OK) == 0;
	(void)!rcconf_read(&k->rc, path, &k->diags);
}

static void read_everything(struct check *k)
{
	autofree char *rc = files_path(cmd_root, "/etc/rc.conf");

	(void)!files_read_all(&k->conf, cmd_root, &k->diags);
	k->sound = !k->diags.errors;
	k->files += k->conf.files.n;
	read_rc(k, rc);
	k->files += check_pf(&k->rc, NULL, &k->diags);
	leases_check(cmd_root, &k->diags);
	autofree char *half_renamed = renaming_complaint(cmd_root);
	if (half_renamed)
		diag_error(&k->diags, (struct pos){0}, "%s", half_renamed);
}

static void read_named(struct check *k, char **files)
{
	k->sound = true;
	for (; *files; files++) {
		unsigned before = k->diags.errors;
		const char *slash = strrchr(*files, '/'), *name = slash ? slash + 1 : *files;
		if (str_eq(name, "rc.conf")) {
			read_rc(k, *files);
			continue;
		}
		if (str_prefix(name, "pf.conf")) {
			k->files += check_pf(&k->rc, *files, &k->diags);
			continue;
		}
		conf_new_unit(&k->conf);
		(void)!conf_read(&k->conf, *files, &k->diags);
		k->sound &= k->diags.errors == before;
		k->files += str_eq(*files, "-");
	}
	k->files += k->conf.files.n;
}

/* ---- what a start would trip over besides ---- */

static void check_tree(struct check *k, const struct conf_jail *j)
{
	const char *template = conf_string(j, P_TEMPLATE);
	const char *path = conf_string(j, P_PATH);
	struct store_layout layout = {0};
	struct ng_err err = {0};

	autofree char *dir = files_path(cmd_root, path);
	int rc = store_layout(&k->store, j->name, dir, &layout, &err);
	store_layout_done(&layout);
	if (rc == -ENOENT && template && !store_has_template(&k->store, template))
		diag_warn_once(&k->diags, conf_pos(j, P_TEMPLATE),
			       "there is no template \"%s\": newgate template create %s --from "
			       "debian:bookworm",
			       template, template);
	else if (rc < 0 && !template)
		diag_warn_once(&k->diags, conf_pos(j, P_PATH), "%s: %s", j->block, err.text);
}

static void check_log(struct check *k, const struct conf_jail *j)
{
	const char *file = conf_string(j, P_EXEC_CONSOLELOG), *path = conf_string(j, P_PATH);
	size_t len = strlen(path);

	if (!file || (len > 1 && str_prefix(file, path) && file[len] == '/'))
		return; /* inside, where the tree may not be yet */
	autofree char *log = files_path(cmd_root, file);
	char *folder = dirname(log);
	if (access(folder, F_OK) < 0)
		diag_warn_once(&k->diags, conf_pos(j, P_EXEC_CONSOLELOG),
			       "%s: exec.consolelog %s: its folder does not exist: mkdir -p %s",
			       j->block, file, folder + strlen(cmd_root));
}

/* Every parameter that the jail sets, but for the name that its block gives. */
static void count_used(struct check *k, const char *name)
{
	autodone(conf_jail_done) struct conf_jail j = {0};
	autodone(diags_done) struct diags told = {0};

	if (conf_resolve(&k->conf, name, CONF_FOR_LIST, &j, &told) < 0)
		return;
	for (size_t i = 0; i < j.nsettings; i++)
		if (j.setting[i].pos.line != j.pos.line || j.setting[i].pos.col != j.pos.col)
			k->used[j.setting[i].id]++;
}

static void check_jail(struct check *k, const char *name)
{
	autodone(conf_jail_done) struct conf_jail j = {0};
	autodone(diags_done) struct diags told = {0};

	if (conf_resolve(&k->conf, name, CONF_FOR_START, &j, &told) < 0)
		return;
	mounts_check(&j, cmd_root, &k->diags);
	check_tree(k, &j);
	check_log(k, &j);
}

static void check_jails(struct check *k)
{
	autofree const char **names = conf_names(&k->conf, &k->jails);

	/* What a fault of the grammar left out would only look wrong. */
	if (!k->sound)
		return;
	(void)!conf_check_all(&k->conf, &k->diags);
	for (size_t i = 0; i < k->jails; i++) {
		check_jail(k, names[i]);
		if (k->verbose)
			count_used(k, names[i]);
	}
	if (k->everything)
		(void)!conf_check_list(&k->conf, &k->rc, &k->diags);
}

/* ---- telling ---- */

/* Faults before warnings, each by place. */
static int by_place(const void *a, const void *b)
{
	const struct diag *x = a, *y = b;
	if (x->level != y->level)
		return x->level == DIAG_ERROR ? -1 : 1;
	int files = strcmp(x->file, y->file);
	if (files)
		return files;
	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	return x->col < y->col ? -1 : x->col > y->col;
}

static void put_number(struct output *o, const char *field, unsigned value)
{
	if (value)
		output_num(o, field, "", value);
	else
		output_str(o, field, "", NULL);
}

static void put_findings(struct output *o, const struct diags *d)
{
	for (size_t i = 0; i < d->n; i++) {
		const struct diag *v = &d->v[i];
		output_row(o);
		output_str(o, "level", "", v->level == DIAG_ERROR ? "fault" : "warning");
		output_str(o, "file", "", *v->file ? v->file : NULL);
		put_number(o, "line", v->line);
		put_number(o, "column", v->col);
		output_str(o, "jail", "", v->subject);
		output_num(o, "others", "", v->others);
		output_str(o, "text", "", v->text);
	}
}

/* Of all parameters that some jail sets: what they are worth here. */
static void put_parameters(struct output *o, const struct check *k)
{
	for (int class = HONOURED; class <= REFUSED; class ++)
		for (unsigned id = PARAM_NONE + 1; id < PARAM_COUNT; id++) {
			const struct param *p = param_get(id);
			if (!k->used[id] || (int)p->class != class)
				continue;
			output_row(o);
			output_str(o, "parameter", "Parameter", p->name);
			output_str(o, "class", "Class", param_class_text(p->class));
			output_num(o, "jails", "Jails", k->used[id]);
			output_str(o, "meaning", "Meaning", p->text);
		}
}

static const char *plural(size_t n)
{
	return n == 1 ? "" : "s";
}

static void print_summary(const struct check *k)
{
	const struct diags *d = &k->diags;
	/* One fault of several jails was told once. */
	size_t faults = d->errors - d->repeated;

	if (!k->jails && !d->n && k->everything) {
		puts(k->files ? "no jail is configured; `newgate create NAME` makes one"
			      : "nothing is configured; `newgate init` writes the first files");
		return;
	}
	printf("%zu jail%s in %zu file%s: ", k->jails, plural(k->jails), k->files,
	       plural(k->files));
	if (faults)
		printf("%zu fault%s", faults, plural(faults));
	else
		fputs("no fault", stdout);
	if (d->warnings)
		printf(", %u warning%s", d->warnings, plural(d->warnings));
	putchar('\n');
}

static int tell_json(const struct check *k)
{
	struct output *o = output_open(stdout, true, "findings");

	put_findings(o, &k->diags);
	if (k->verbose) {
		output_next(o, "parameters");
		put_parameters(o, k);
	}
	return output_close(o);
}

static int tell_text(const struct check *k)
{
	for (size_t i = 0; i < k->diags.n; i++) {
		autofree char *text = diag_format(&k->diags.v[i]);
		puts(text);
	}
	if (diags_dropped(&k->diags))
		printf("… and %zu more\n", diags_dropped(&k->diags));
	print_summary(k);
	if (!k->verbose || !k->jails || !k->sound)
		return 0;
	putchar('\n');
	struct output *o = output_open(stdout, false, "parameters");
	put_parameters(o, k);
	return output_close(o);
}

static int check_run(int argc, char **argv)
{
	static const struct option longs[] = {{"json", no_argument, NULL, 'j'}, {0}};
	autodone(check_done) struct check k = {.conf.root = cmd_root};
	struct ng_err err = {0};

	for (int opt = 0; (opt = getopt_long(argc, argv, "+v", longs, NULL)) != -1;) {
		if (opt != 'v' && opt != 'j')
			return usage(&cmd_check);
		k.verbose |= opt == 'v';
		k.json |= opt == 'j';
	}
	if (store_open(&k.store, cmd_root, &err) < 0) {
		warn_msg("%s", err.text);
		return 1;
	}
	k.everything = optind == argc;
	if (k.everything)
		read_everything(&k);
	else
		read_named(&k, argv + optind);
	check_jails(&k);
	if (k.diags.n)
		qsort(k.diags.v, k.diags.n, sizeof(*k.diags.v), by_place);
	int rc = k.json ? tell_json(&k) : tell_text(&k);
	if (rc < 0)
		warn_msg("standard output: %s", strerror(-rc));
	return rc < 0 || k.diags.errors ? 1 : 0;
}

const struct cmd cmd_check = {
    .name = "check",
    .run = check_run,
    .args = "[-v] [--json] [FILE …]",
    .summary = "finds what is wrong in the configuration",
    .help = "Reads /etc/jail.conf, /etc/jail.conf.d, /etc/jail.NAME.conf, /etc/rc.conf, the fstab\n"
	    "files that they name, the leases and, with pf_enable, pf.conf, and tells every fault "
	    "with\n"
	    "its place and what would be right. With FILEs, reads these instead: one called "
	    "rc.conf as\n"
	    "rc.conf(5), pf.conf as pf.conf(5), the others as jail.conf(5). Nothing is changed.\n"
	    "\n"
	    "  -v      also tell for every parameter in use whether it is honoured here\n"
	    "  --json  as JSON\n"
	    "\n"
	    "Exit status: 0 without faults (warnings are none), else 1.\n",
};
