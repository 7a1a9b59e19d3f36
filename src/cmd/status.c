/* newgate status, newgate metrics: all jails at one moment, for people, as JSON, for Prometheus. */
#include <getopt.h>
#include <stdio.h>
#include <time.h>
#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/output.h"
#include "cmd/storage.h"
#include "conf/files.h"
#include "run/overview.h"

static void put_list(struct output *o, const char *field, const char *header, const struct strv *v)
{
	output_list(o, field, header, (const char *const *)v->v, v->n);
}

static void row_text(struct output *o, const struct overview_jail *j)
{
	const struct cgroup_usage *u = &j->usage.cg;

	output_str(o, "name", "NAME", j->name);
	output_str(o, "state", "STATE", jail_state_name(j->state));
	put_list(o, "address", "ADDRESS", &j->address);
	put_list(o, "rdr", "PORTS", &j->rdr);
	if (j->since) {
		output_num(o, "processes", "PROCS", u->processes);
		output_bytes(o, "memory", "MEMORY", u->memory);
		output_span(o, "cpu", "CPU", (int64_t)(u->cpu_usec / 1000000));
		output_span(o, "up", "UP", time(NULL) - j->since);
	} else {
		output_str(o, "processes", "PROCS", NULL);
		output_str(o, "memory", "MEMORY", NULL);
		output_str(o, "cpu", "CPU", NULL);
		output_str(o, "up", "UP", NULL);
	}
	output_str(o, "failure", "LAST FAILURE", j->failure);
}

static void row_json(struct output *o, const struct overview_jail *j)
{
	const struct usage *u = &j->usage;

	output_str(o, "name", "", j->name);
	output_str(o, "state", "", jail_state_name(j->state));
	output_num(o, "jid", "", (uint64_t)j->jid);
	put_list(o, "address", "", &j->address);
	put_list(o, "rdr", "", &j->rdr);
	output_num(o, "since", "", (uint64_t)j->since);
	output_num(o, "processes", "", u->cg.processes);
	output_num(o, "memory", "", u->cg.memory);
	output_num(o, "cpu_usec", "", u->cg.cpu_usec);
	output_num(o, "rx_bytes", "", u->rx_bytes);
	output_num(o, "rx_packets", "", u->rx_packets);
	output_num(o, "tx_bytes", "", u->tx_bytes);
	output_num(o, "tx_packets", "", u->tx_packets);
	output_num(o, "services", "", u->services.services);
	output_num(o, "restarts", "", u->services.restarts);
	output_str(o, "failure", "", j->failure);
}

static bool is_wanted(const struct overview_jail *j, char *const *names)
{
	if (!*names)
		return true;
	for (; *names; names++)
		if (str_eq(*names, j->name))
			return true;
	return false;
}

/* Only root may look at the firewall. */
static int look(const struct overview *o, struct state *s, struct strv *faults)
{
	struct rcconf rc autodone(rcconf_done) = {0};
	struct diags unread autodone(diags_done) = {0};
	struct ng_err err = {0};
	autofree char *path = files_path(cmd_root, "/etc/rc.conf");

	if (geteuid() != 0)
		return 0;
	/* What is wrong in it newgate check tells. */
	(void)!rcconf_read(&rc, path, &unread);
	if (overview_faults(o, s, &rc, faults, &err) == 0)
		return 0;
	warn_msg("%s", err.text);
	return 1;
}

static int print_status(const struct overview *o, const struct strv *faults, bool json,
			char *const *names)
{
	struct output *out = output_open(stdout, json, "jails");
	size_t shown = 0;

	for (size_t i = 0; i < o->n; i++) {
		if (!is_wanted(&o->v[i], names))
			continue;
		shown++;
		output_row(out);
		if (json)
			row_json(out, &o->v[i]);
		else
			row_text(out, &o->v[i]);
	}
	if (!json && !shown && !*names)
		puts("no jail is configured or running; `newgate create NAME` makes one");
	if (json)
		output_next(out, "faults");
	for (size_t i = 0; json && i < faults->n; i++) {
		output_row(out);
		output_str(out, "text", "", faults->v[i]);
	}
	int rc = output_close(out);
	for (size_t i = 0; !json && i < faults->n; i++)
		warn_msg("%s (newgate up puts it right)", faults->v[i]);
	return rc < 0;
}

/* Everyone who was named is there, or that is told. */
static bool all_known(const struct overview *o, char *const *names)
{
	bool known = true;

	for (; *names; names++) {
		char *const one[] = {*names, NULL};
		size_t i = 0;
		while (i < o->n && !is_wanted(&o->v[i], one))
			i++;
		if (i == o->n) {
			warn_msg("jail \"%s\" is neither configured nor running", *names);
			known = false;
		}
	}
	return known;
}

static int status_run(int argc, char **argv)
{
	static const struct option longs[] = {{"json", no_argument, NULL, 'j'}, {0}};
	struct storage s = {0};
	struct overview o = {0};
	struct strv faults autodone(strv_done) = {0};
	struct ng_err err = {0};
	bool json = false;
	int status = 1;

	for (int opt; (opt = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
		if (opt != 'j')
			return usage(&cmd_status);
		json = true;
	}
	if (storage_open(&s) == 0) {
		if (overview_read(&s.state, &s.conf, &o, &err) < 0)
			warn_msg("%s", err.text);
		else
			status = look(&o, &s.state, &faults) |
				 print_status(&o, &faults, json, argv + optind) |
				 !all_known(&o, argv + optind);
	}
	overview_done(&o);
	storage_done(&s);
	return status;
}

const struct cmd cmd_status = {
    .name = "status",
    .run = status_run,
    .args = "[--json] [NAME …]",
    .summary = "one line a jail: state, address, ports, processes, memory, CPU, since when",
    .help =
	"Shows every jail that is configured or running. MEMORY is the cgroup's where the host\n"
	"has the memory controller, else the sum of what the processes hold. --json adds the\n"
	"bytes and packets in and out, services and their restarts. What somebody changed of the\n"
	"jails' links or their firewall is told too.\n",
};

/* --- metrics ---------------------------------------------------------------------------------- */

enum metric_kind { GAUGE, COUNTER };

struct metric {
	const char *name, *help;
	enum metric_kind kind;
	double (*value)(const struct overview_jail *j);
};

static double up(const struct overview_jail *j)
{
	return j->state == JAIL_RUNNING;
}
static double start_time(const struct overview_jail *j)
{
	return (double)j->since;
}
static double processes(const struct overview_jail *j)
{
	return (double)j->usage.cg.processes;
}
static double memory(const struct overview_jail *j)
{
	return (double)j->usage.cg.memory;
}
static double cpu(const struct overview_jail *j)
{
	return (double)j->usage.cg.cpu_usec / 1e6;
}
static double rx_bytes(const struct overview_jail *j)
{
	return (double)j->usage.rx_bytes;
}
static double rx_packets(const struct overview_jail *j)
{
	return (double)j->usage.rx_packets;
}
static double tx_bytes(const struct overview_jail *j)
{
	return (double)j->usage.tx_bytes;
}
static double tx_packets(const struct overview_jail *j)
{
	return (double)j->usage.tx_packets;
}
static double redirects(const struct overview_jail *j)
{
	return (double)j->rdr.n;
}
static double restarts(const struct overview_jail *j)
{
	return j->usage.services.restarts;
}

static const struct metric metrics[] = {
    {"newgate_jail_up", "1 where the jail runs", GAUGE, up},
    {"newgate_jail_start_time_seconds", "start, seconds since 1970; 0: not running", GAUGE,
     start_time},
    {"newgate_jail_processes", "processes", GAUGE, processes},
    {"newgate_jail_memory_bytes", "memory in use", GAUGE, memory},
    {"newgate_jail_cpu_seconds_total", "processor time used", COUNTER, cpu},
    {"newgate_jail_receive_bytes_total", "bytes to the jail", COUNTER, rx_bytes},
    {"newgate_jail_receive_packets_total", "packets to the jail", COUNTER, rx_packets},
    {"newgate_jail_transmit_bytes_total", "bytes from the jail", COUNTER, tx_bytes},
    {"newgate_jail_transmit_packets_total", "packets from the jail", COUNTER, tx_packets},
    {"newgate_jail_redirects", "redirects (rdr)", GAUGE, redirects},
    {"newgate_jail_service_restarts_total", "restarts of services", COUNTER, restarts},
};

/* A label's value: Prometheus escapes the backslash, the quote and the newline. */
static void put_label(const char *s)
{
	for (; *s; s++) {
		if (*s == '\\' || *s == '"')
			putchar('\\');
		fputs(*s == '\n' ? "\\n" : (char[]){*s, '\0'}, stdout);
	}
}

static int metrics_run(int argc, char **argv)
{
	struct storage s = {0};
	struct overview o = {0};
	struct ng_err err = {0};
	int status = 1;

	(void)argv;
	if (argc > 1)
		return usage(&cmd_metrics);
	if (storage_open(&s) == 0) {
		status = overview_read(&s.state, &s.conf, &o, &err) < 0;
		if (status)
			warn_msg("%s", err.text);
	}
	for (size_t m = 0; status == 0 && m < ARRAY_SIZE(metrics); m++) {
		printf("# HELP %s %s\n# TYPE %s %s\n", metrics[m].name, metrics[m].help,
		       metrics[m].name, metrics[m].kind == GAUGE ? "gauge" : "counter");
		for (size_t i = 0; i < o.n; i++) {
			printf("%s{jail=\"", metrics[m].name);
			put_label(o.v[i].name);
			printf("\"} %.15g\n", metrics[m].value(&o.v[i]));
		}
	}
	overview_done(&o);
	storage_done(&s);
	return status;
}

const struct cmd cmd_metrics = {
    .name = "metrics",
    .run = metrics_run,
    .args = "",
    .summary = "what status shows, in Prometheus' text form",
    .help =
	"For node_exporter's textfile collector, or any web server:\n"
	"    newgate metrics > /var/lib/node_exporter/newgate.prom.tmp &&\n"
	"        mv /var/lib/node_exporter/newgate.prom.tmp /var/lib/node_exporter/newgate.prom\n",
};
