/* newgate doctor: what on this host keeps jails from working. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/output.h"
#include "conf/check.h"
#include "conf/files.h"
#include "doctor/doctor.h"

#define ONLY_ADVICE 2 /* the exit status */
/* Its servers take letters from everybody who may send any; only `doctor mail` tries them. */
#define PROBE "gmail.com"

struct visit {
	struct conf conf;
	struct rcconf rc;
	struct state state;
	struct gather gather;
	struct doctor doctor;
	char executable[4096];
};

static void visit_done(struct visit *v)
{
	doctor_done(&v->doctor);
	gather_done(&v->gather);
	state_done(&v->state);
	rcconf_done(&v->rc);
	conf_done(&v->conf);
}

/* A configuration with faults is none: what it says cannot be known. */
static void read_configuration(struct visit *v)
{
	autodone(diags_done) struct diags d = {0};
	autofree char *rc = files_path(cmd_root, "/etc/rc.conf");

	int failed = files_read_all(&v->conf, cmd_root, &d);
	if (failed == 0 && !d.errors)
		failed = conf_check_all(&v->conf, &d);
	if (failed < 0 || d.errors) {
		conf_done(&v->conf);
		v->conf.root = cmd_root;
	}
	unsigned before = d.errors;
	if (rcconf_read(&v->rc, rc, &d) < 0 || d.errors > before) {
		rcconf_done(&v->rc);
		rcconf_read_text(&v->rc, "", "", 0, &d);
	}
	v->doctor.faults = d.errors - d.repeated;
}

static bool open_all(struct visit *v)
{
	struct ng_err err = {0};

	ssize_t n = readlink("/proc/self/exe", v->executable, sizeof(v->executable) - 1);
	v->executable[n > 0 ? n : 0] = '\0';
	v->doctor.root = cmd_root;
	v->doctor.proc = "/proc";
	v->doctor.executable = v->executable;
	v->doctor.rc = &v->rc;
	v->doctor.gather = &v->gather;
	read_configuration(v);
	if (state_open(&v->state, cmd_root, &err) == 0 &&
	    gather(&v->gather, &v->state, &v->conf, &v->rc, &err) == 0)
		return true;
	warn_msg("%s", err.text);
	return false;
}

/* ---- telling ---- */

static int tell_json(const struct doctor *d)
{
	struct output *o = output_open(stdout, true, "findings");
	for (size_t i = 0; i < d->n; i++) {
		const struct finding *f = &d->finding[i];
		output_row(o);
		output_str(o, "check", "", f->check);
		output_str(o, "level", "", doctor_level_text(f->level));
		output_str(o, "what", "", f->what);
		output_str(o, "why", "", f->why);
		output_list(o, "fix", "", (const char *const *)f->fix.v, f->fix.n);
	}
	return output_close(o);
}

/* A paragraph, words moved to the next line where the terminal is at its end. */
static void print_wrapped(const char *label, const char *text)
{
	static const int width = 78, indent = 6;
	int at = indent;

	printf("%*s", -indent, label);
	for (const char *p = text; *p; p += strspn(p, " ")) {
		size_t n = strcspn(p, " ");
		if (at > indent && at + 1 + (int)n > width) {
			printf("\n%*s", indent, "");
			at = indent;
		}
		printf("%s%.*s", at > indent ? " " : "", (int)n, p);
		at += (int)n + (at > indent);
		p += n;
	}
	putchar('\n');
}

static void print_finding(const struct finding *f)
{
	printf("%s: %s\n", f->check, f->what);
	if (f->why)
		print_wrapped("  why", f->why);
	for (size_t i = 0; i < f->fix.n; i++)
		printf("%-6s%s\n", i ? "" : "  fix", f->fix.v[i]);
	putchar('\n');
}

/* What is fine, too. */
static void print_fine(const struct doctor *d, const char *check)
{
	for (size_t i = 0; doctor_check_name(i); i++) {
		bool mentioned = !doctor_check_among(i, check);
		for (size_t k = 0; k < d->n; k++)
			mentioned |= str_eq(d->finding[k].check, doctor_check_name(i));
		if (!mentioned)
			printf("%s: fine (%s)\n", doctor_check_name(i), doctor_check_about(i));
	}
}

static size_t count(const struct doctor *d, enum doctor_level level)
{
	size_t n = 0;
	for (size_t i = 0; i < d->n; i++)
		n += d->finding[i].level == level;
	return n;
}

static void tell_text(const struct doctor *d, const char *check, bool verbose)
{
	size_t hinders = count(d, DOCTOR_HINDERS), advice = count(d, DOCTOR_ADVICE);
	const char *whom = check && str_prefix(check, DOCTOR_MAIL) ? "mail" : "jails";

	for (int level = DOCTOR_HINDERS; level <= DOCTOR_ADVICE; level++)
		for (size_t i = 0; i < d->n; i++)
			if ((int)d->finding[i].level == level)
				print_finding(&d->finding[i]);
	if (verbose)
		print_fine(d, check);
	if (hinders)
		printf("%zu thing%s hinder%s %s", hinders, hinders == 1 ? "" : "s",
		       hinders == 1 ? "s" : "", whom);
	else
		printf("nothing hinders %s", whom);
	if (advice)
		printf("; %zu%s %s worth a look", advice, hinders ? " more" : "",
		       advice == 1 ? "is" : "are");
	putchar('\n');
}

/* Only looking, but much of it is for root's eyes. */
static int examine(const char *check, const char *probe, bool json, bool verbose)
{
	autodone(visit_done) struct visit v = {.state = {.dir = -1}};
	int rc = 0;

	if (!open_all(&v))
		return 1;
	v.doctor.probe = probe;
	if (doctor_examine(&v.doctor, check) < 0)
		return 1;
	if (json)
		rc = tell_json(&v.doctor);
	else
		tell_text(&v.doctor, check, verbose);
	if (rc < 0 || count(&v.doctor, DOCTOR_HINDERS))
		return 1;
	return v.doctor.n ? ONLY_ADVICE : 0;
}

static int unknown_check(const char *check)
{
	const char *names[64] = {DOCTOR_MAIL};
	size_t n = 1;
	for (; n < ARRAY_SIZE(names) && doctor_check_name(n - 1); n++)
		names[n] = doctor_check_name(n - 1);
	const char *near = str_nearest(check, names, n);
	warn_msg("there is no check \"%s\"%s%s%s", check,
		 near ? " (did you mean \"" : ": `newgate doctor -v` names them", near ? near : "",
		 near ? "\"?)" : "");
	return 1;
}

static int doctor_run(int argc, char **argv)
{
	static const struct option longs[] = {{"json", no_argument, NULL, 'j'}, {0}};
	bool json = false, verbose = false;

	for (int opt = 0; (opt = getopt_long(argc, argv, "+v", longs, NULL)) != -1;) {
		if (opt != 'v' && opt != 'j')
			return usage(&cmd_doctor);
		verbose |= opt == 'v';
		json |= opt == 'j';
	}
	const char *check = argv[optind];
	bool mail = check && str_prefix(check, DOCTOR_MAIL);
	if (argc - optind > 1 + mail)
		return usage(&cmd_doctor);
	const char *probe = optind + 1 < argc ? argv[optind + 1] : PROBE;
	bool known = !check;
	for (size_t i = 0; doctor_check_name(i); i++)
		known |= doctor_check_among(i, check);
	if (!known)
		return unknown_check(check);
	if (geteuid() != 0) {
		warn_msg("run it as root: what firewalls do, and who listens where, is not for "
			 "everybody to see");
		return 1;
	}
	return examine(check, probe, json, verbose);
}

const struct cmd cmd_doctor = {
    .name = "doctor",
    .run = doctor_run,
    .args = "[-v] [--json] [CHECK]\n"
	    "[-v] [--json] mail [DOMAIN]",
    .summary = "finds what on this host keeps jails from working",
    .help =
	"Looks at the kernel, the file systems, the network, the firewalls of others and what is\n"
	"left of jails, and tells of each thing it finds what it is, why it matters and what to\n"
	"type. Nothing is changed. With CHECK, makes that check alone.\n"
	"\n"
	"mail looks for what keeps a mail host from sending and receiving: its address, names and\n"
	"certificate, ports, lists of sources of spam. It asks name servers, and connects to a "
	"mail\n"
	"server of DOMAIN (gmail.com) to see whether letters get out.\n"
	"\n"
	"  -v      also name the checks that found nothing\n"
	"  --json  as JSON\n"
	"\n"
	"Exit status: 0 nothing was found, 1 something hinders jails, 2 only advice.\n",
};
