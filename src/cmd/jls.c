/* jls(8): what runs. FreeBSD's options, columns and JSON, to the letter. */
#include <getopt.h>
#include <stdio.h>
#include "base/mem.h"
#include "cmd/cmd.h"
#include "conf/files.h"
#include "state/query.h"
#include "state/state.h"

enum show {
	SHOW_HEADER = 1,   /* -h */
	SHOW_NAMES = 2,    /* -n */
	SHOW_QUOTED = 4,   /* -q */
	SHOW_INPUT = 8,    /* -s: only what jail -c takes */
	SHOW_VERBOSE = 16, /* -v */
	SHOW_BY_NAME = 32, /* -N */
};

struct jls {
	unsigned show;
	bool dying, json, check;
	const char *jail;    /* -j, or NULL */
	struct query *param; /* what was asked for; NULL: the usual columns */
	size_t nparams;
	const struct record *all; /* every record, to look parents and children up */
	size_t nall;
	struct str out;
};

/* --- text ------------------------------------------------------------------------------------- */

static const char *first(const struct strv *l)
{
	return l->n ? l->v[0] : "";
}

static const char *text(const char *s)
{
	return s ? s : "";
}

static void text_verbose(struct jls *j, const struct record *r)
{
	const struct strv *lists[] = {&r->ip4, &r->ip6};

	str_addf(&j->out, "%6d  %-29.29s %.74s\n", r->jid, text(r->hostname), text(r->path));
	str_addf(&j->out, "        %-29.29s %.74s\n", r->name, r->dead ? "DYING" : "ACTIVE");
	str_addf(&j->out, "        %d\n", 0);
	for (size_t f = 0; f < ARRAY_SIZE(lists); f++)
		for (size_t i = 0; i < lists[f]->n; i++)
			str_addf(&j->out, "        %s\n", lists[f]->v[i]);
}

static void text_usual(struct jls *j, const struct record *r)
{
	if (j->show & SHOW_BY_NAME)
		str_addf(&j->out, " %-15s ", r->name);
	else
		str_addf(&j->out, "%6d  ", r->jid);
	str_addf(&j->out, "%-15.15s %-29.29s %.74s\n", first(&r->ip4), text(r->hostname),
		 text(r->path));
}

/* Quotes as a shell needs them, since `jls -s` is made to be given to `jail -c`. FreeBSD does not
 * escape what the quotes do not cover; a value with both kinds of quotes would fall apart. */
static void add_quoted(struct str *out, const char *s)
{
	bool single = strchr(s, '\''), both = single && strchr(s, '"');
	char q = single ? '"' : strpbrk(s, "\"$`\\") ? '\'' : strpbrk(s, " \t\n") ? '"' : 0;

	if (!q) {
		str_add(out, s);
		return;
	}
	str_addc(out, q);
	for (; *s; s++) {
		if (q == '"' && (*s == '$' || *s == '`' || *s == '\\' || (both && *s == '"')))
			str_addc(out, '\\');
		str_addc(out, *s);
	}
	str_addc(out, q);
}

static void add_value(struct jls *j, const char *s)
{
	if (*s == '\0')
		str_add(&j->out, "\"\"");
	else if (j->show & SHOW_QUOTED)
		add_quoted(&j->out, s);
	else
		str_add(&j->out, s);
}

/* The name that says a boolean is false: "allow.nomount", or, asked for that, "allow.mount". */
static void add_opposite(struct str *out, const struct query *q)
{
	const char *dot = strrchr(q->name, '.');
	const char *last = dot ? dot + 1 : q->name;

	str_addn(out, q->name, (size_t)(last - q->name));
	if (q->negated)
		str_add(out, last + 2);
	else
		str_addf(out, "no%s", last);
}

static void text_list(struct jls *j, const struct query *q, const struct strv *v)
{
	autodone(str_done) struct str joined = {0};
	bool together = q->param->type == PT_ADDRS || !(j->show & SHOW_INPUT);

	if (v->n == 0) {
		if (j->show & SHOW_QUOTED)
			str_add(&j->out, "\"\"");
		else if (!(j->show & SHOW_NAMES))
			str_addc(&j->out, '-');
		return;
	}
	/* jail(8) takes the commas of addresses apart, those of other lists it does not. */
	for (size_t i = 0; i < v->n; i++) {
		if (!together) {
			if (i)
				str_addf(&j->out, " %s=", q->name);
			add_value(j, v->v[i]);
		} else {
			str_addf(&joined, "%s%s", i ? "," : "", v->v[i]);
		}
	}
	if (together)
		add_value(j, str_text(&joined));
}

static void text_params(struct jls *j, const struct record *r)
{
	const char *blank = "";

	for (size_t i = 0; i < j->nparams; i++) {
		const struct query *q = &j->param[i];
		autodone(strv_done) struct strv v = {0};

		if ((j->show & SHOW_INPUT) && !query_is_input(q, r))
			continue;
		str_add(&j->out, blank);
		blank = " ";
		query_value(q, r, j->all, j->nall, &v);
		if ((j->show & SHOW_NAMES) && q->param->type == PT_BOOL) {
			if (str_eq(v.v[0], "true"))
				str_add(&j->out, q->name);
			else
				add_opposite(&j->out, q);
			continue;
		}
		if (j->show & SHOW_NAMES)
			str_addf(&j->out, "%s=", q->name);
		if (query_is_list(q))
			text_list(j, q, &v);
		else
			add_value(j, v.v[0]);
	}
	str_addc(&j->out, '\n');
}

static void text_header(struct jls *j)
{
	if (j->show & SHOW_VERBOSE)
		str_add(&j->out, "   JID  Hostname                      Path\n"
				 "        Name                          State\n"
				 "        CPUSetID\n"
				 "        IP Address(es)\n");
	else if (!j->param && (j->show & SHOW_BY_NAME))
		str_addf(&j->out, " %-15s %-15s %-29s %s\n", "JID", "IP Address", "Hostname",
			 "Path");
	else if (!j->param)
		str_add(&j->out, "   JID  IP Address      Hostname                      Path\n");
	else if (j->show & SHOW_HEADER)
		for (size_t i = 0; i < j->nparams; i++)
			str_addf(&j->out, "%s%s", j->param[i].name,
				 i + 1 < j->nparams ? " " : "\n");
}

/* --- JSON, as libxo writes it: values of parameters are strings, addresses a list ---------------
 */

static void json_field(struct jls *j, const char *name, const char *value)
{
	str_add_json(&j->out, name);
	str_addc(&j->out, ':');
	str_add_json(&j->out, text(value));
}

static void json_list(struct jls *j, const char *name, const struct strv *v)
{
	str_add_json(&j->out, name);
	str_add(&j->out, ": [");
	for (size_t i = 0; i < v->n; i++) {
		if (i)
			str_addc(&j->out, ',');
		str_add_json(&j->out, v->v[i]);
	}
	str_addc(&j->out, ']');
}

static void json_usual(struct jls *j, const struct record *r)
{
	if (!(j->show & SHOW_VERBOSE) && (j->show & SHOW_BY_NAME))
		json_field(j, "name", r->name);
	else
		str_addf(&j->out, "\"jid\":%d", r->jid);
	str_addc(&j->out, ',');
	if (!(j->show & SHOW_VERBOSE)) {
		json_field(j, "ipv4", first(&r->ip4));
		str_addc(&j->out, ',');
	}
	json_field(j, "hostname", r->hostname);
	str_addc(&j->out, ',');
	json_field(j, "path", r->path);
	if (!(j->show & SHOW_VERBOSE))
		return;
	str_addc(&j->out, ',');
	json_field(j, "name", r->name);
	str_addc(&j->out, ',');
	json_field(j, "state", r->dead ? "DYING" : "ACTIVE");
	str_add(&j->out, ",\"cpusetid\":0, ");
	json_list(j, "ipv4_addrs", &r->ip4);
	str_add(&j->out, ", ");
	json_list(j, "ipv6_addrs", &r->ip6);
}

static void json_params(struct jls *j, const struct record *r)
{
	const char *comma = "";

	for (size_t i = 0; i < j->nparams; i++) {
		const struct query *q = &j->param[i];
		autodone(strv_done) struct strv v = {0};

		if ((j->show & SHOW_INPUT) && !query_is_input(q, r))
			continue;
		str_add(&j->out, comma);
		comma = ",";
		query_value(q, r, j->all, j->nall, &v);
		if (query_is_list(q)) {
			json_list(j, q->name, &v);
		} else if (q->param->type == PT_BOOL && (j->show & SHOW_NAMES)) {
			str_add_json(&j->out, q->name);
			str_addf(&j->out, ":%s", v.v[0]);
		} else {
			json_field(j, q->name, v.v[0]);
		}
	}
}

/* ------------------------------------------------------------------------------------------------
 */

static void print_jail(struct jls *j, const struct record *r, bool first_one)
{
	if (j->json) {
		str_add(&j->out, first_one ? "{" : ", {");
		if (j->param)
			json_params(j, r);
		else
			json_usual(j, r);
		str_addc(&j->out, '}');
	} else if (j->show & SHOW_VERBOSE) {
		text_verbose(j, r);
	} else if (j->param) {
		text_params(j, r);
	} else {
		text_usual(j, r);
	}
}

/* -j: the one jail; a name comes before a number, as everywhere (state_find). */
static const struct record *find_one(const struct jls *j, const struct record *all, size_t n)
{
	const struct record *by_id = NULL;

	for (size_t i = 0; i < n; i++) {
		char jid[16];

		if (all[i].dead && !j->dying)
			continue;
		if (str_eq(all[i].name, j->jail))
			return &all[i];
		snprintf(jid, sizeof(jid), "%d", all[i].jid);
		if (str_eq(jid, j->jail))
			by_id = &all[i];
	}
	return by_id;
}

static void not_found(const struct jls *j)
{
	autofree const char **names = mem_alloc((j->nall + 1) * sizeof(*names));

	for (size_t i = 0; i < j->nall; i++)
		names[i] = j->all[i].name;
	const char *near = str_nearest(j->jail, names, j->nall);
	warn_msg("jail \"%s\" not found%s%s%s", j->jail, near ? " (did you mean \"" : "",
		 near ? near : "", near ? "\"?)" : "");
}

static int print_all(struct jls *j)
{
	const struct record *one = NULL;
	bool first_one = true;

	if (j->jail) {
		one = find_one(j, j->all, j->nall);
		if (!one && !j->check)
			not_found(j);
		if (!one || j->check)
			return one ? 0 : 1;
	}
	if (j->json)
		str_add(&j->out, "{\"__version\": \"2\", \"jail-information\": {\"jail\": [");
	else
		text_header(j);
	for (size_t i = 0; i < j->nall; i++) {
		const struct record *r = &j->all[i];

		if (one ? r != one : (r->dead && !j->dying))
			continue;
		print_jail(j, r, first_one);
		first_one = false;
	}
	if (j->json)
		str_add(&j->out, "]}}\n");
	fputs(str_text(&j->out), stdout);
	return 0;
}

static int add_param(struct jls *j, const char *name)
{
	struct ng_err err = {0};
	struct query q = {0};

	if (str_eq(name, "all")) {
		autofree struct query *every = NULL;
		size_t n = 0;

		every = query_all(&n);
		for (size_t i = 0; i < n; i++)
			if (add_param(j, every[i].name) != 0)
				return 1;
		return 0;
	}
	if (query_parse(&q, name, &err) < 0) {
		warn_msg("%s", err.text);
		return 1;
	}
	for (size_t i = 0; i < j->nparams; i++)
		if (str_eq(j->param[i].name, name))
			return 0;
	j->param = mem_grow(j->param, j->nparams, sizeof(*j->param));
	j->param[j->nparams++] = q;
	return 0;
}

/* libxo's own option may stand anywhere, in three spellings. Takes it out of argv. */
static bool take_libxo(struct jls *j, int *argc, char **argv)
{
	int n = 1;

	for (int i = 1; i < *argc; i++) {
		const char *style = NULL;

		if (str_eq(argv[i], "--json"))
			style = "json";
		else if (str_eq(argv[i], "--libxo") && i + 1 < *argc)
			style = argv[++i];
		else if (str_prefix(argv[i], "--libxo=") || str_prefix(argv[i], "--libxo:"))
			style = argv[i] + strlen("--libxo=");
		else
			argv[n++] = argv[i];
		if (!style)
			continue;
		if (str_eq(style, "json") || str_prefix(style, "json,") || *style == 'J') {
			j->json = true;
		} else if (!str_eq(style, "text") && *style != 'T') {
			warn_msg("--libxo: \"%s\" is not known; there are json and text", style);
			return false;
		}
	}
	argv[n] = NULL;
	*argc = n;
	return true;
}

/* Later options take back what they exclude, as in FreeBSD's jls. */
static bool take_option(struct jls *j, int opt)
{
	switch (opt) {
	case 'a': /* the old name of -d */
	case 'd':
		j->dying = true;
		return true;
	case 'c':
		j->check = true;
		return true;
	case 'h':
		j->show &= ~(unsigned)(SHOW_INPUT | SHOW_VERBOSE);
		j->show |= SHOW_HEADER;
		return true;
	case 'j':
		j->jail = optarg;
		return true;
	case 'N':
		j->show |= SHOW_BY_NAME;
		return true;
	case 'n':
		j->show &= ~(unsigned)SHOW_VERBOSE;
		j->show |= SHOW_NAMES;
		return true;
	case 'q':
		j->show |= SHOW_QUOTED;
		return true;
	case 's':
		j->show &= ~(unsigned)(SHOW_HEADER | SHOW_VERBOSE);
		j->show |= SHOW_NAMES | SHOW_QUOTED | SHOW_INPUT;
		return true;
	case 'v':
		j->show &= ~(unsigned)(SHOW_HEADER | SHOW_NAMES | SHOW_INPUT);
		j->show |= SHOW_VERBOSE;
		return true;
	default:
		return false;
	}
}

/* Before the first jail since boot there is nothing to open, and a user may have no right to make
 * it. */
static bool none_yet(void)
{
	autofree char *path = files_path(cmd_root, "/run/newgate");

	return access(path, F_OK) < 0 && errno == ENOENT;
}

static int jls_all(struct jls *j)
{
	autodone(state_done) struct state s = {.dir = -1};
	struct record *all = NULL;
	struct ng_err err = {0};
	int status = 1;

	if (none_yet())
		return print_all(j);
	if (state_open(&s, cmd_root, &err) < 0 || state_all(&s, &all, &j->nall, &err) < 0) {
		warn_msg("%s", err.text);
		return 1;
	}
	j->all = all;
	status = print_all(j);
	for (size_t i = 0; i < j->nall; i++)
		record_done(&all[i]);
	free(all);
	return status;
}

static int jls_run(int argc, char **argv)
{
	struct jls j = {0};
	int status = 0;

	if (!take_libxo(&j, &argc, argv))
		return 1;
	for (int opt = 0; (opt = getopt(argc, argv, "+acdhj:Nnqsv")) != -1;)
		if (!take_option(&j, opt))
			return usage(&cmd_jls);
	if (j.check && (!j.jail || optind < argc))
		return usage(&cmd_jls);
	if (optind < argc)
		j.show &= ~(unsigned)SHOW_VERBOSE;
	else if (j.show & (SHOW_HEADER | SHOW_NAMES))
		status = add_param(&j, "all");
	for (; optind < argc && status == 0; optind++)
		status = add_param(&j, argv[optind]);
	if (status == 0)
		status = jls_all(&j);
	free(j.param);
	str_done(&j.out);
	return status;
}

const struct cmd cmd_jls = {
    .name = "jls",
    .link = true,
    .run = jls_run,
    .args = "[--libxo json] [-dhNnqsv] [-j JAIL] [PARAMETER …]\n"
	    "-c [-d] -j JAIL",
    .summary = "lists the jails that run, or their parameters",
    .help = "  -j JAIL  only this one, by name or number\n"
	    "  -c       print nothing; the exit status says whether the jail is there\n"
	    "  -d       also those that are gone but not cleared up\n"
	    "  -v       several lines a jail, with every address\n"
	    "  -N       names instead of numbers\n"
	    "  -n       parameters as NAME=VALUE\n"
	    "  -h       a line with the names of the parameters first\n"
	    "  -q       quotes around values that need them\n"
	    "  -s       what jail -c would take, quoted for a shell\n"
	    "  --json   JSON, the same as --libxo json\n"
	    "\n"
	    "PARAMETER is one of jail.conf(5)'s that a running jail keeps, or `all`.\n",
};
