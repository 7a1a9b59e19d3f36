/* newgate top: running jails by what they use now, again and again. */
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <termios.h>
#include <time.h>
#include "base/mem.h"
#include "base/str.h"
#include "cmd/cmd.h"
#include "cmd/enter.h"
#include "cmd/output.h"
#include "run/overview.h"

#define DELAY 2.0
#define FIRST 0.5 /* seconds until there are the first rates to show */

/* One jail between two looks; rates are a second's. */
struct line {
	const struct overview_jail *jail;
	double cpu; /* percent of one processor */
	uint64_t rx, tx;
};

enum sort { BY_CPU, BY_MEMORY, BY_NETWORK, BY_PROCESSES };
static const char *const sorts[] = {"cpu", "memory", "network", "processes"};

struct top {
	double delay;
	uint64_t count, shown; /* count 0: without an end */
	bool batch, json;
	enum sort sort;
	struct state state;
	struct overview now, before;
	int64_t now_ns, before_ns;
	struct line *line; /* of now, sorted */
	struct termios terminal;
};

/* ---- what is shown ---- */

static uint64_t sort_key(const struct line *l, enum sort by)
{
	switch (by) {
	case BY_MEMORY:
		return l->jail->usage.cg.memory;
	case BY_NETWORK:
		return l->rx + l->tx;
	case BY_PROCESSES:
		return l->jail->usage.cg.processes;
	default:
		return (uint64_t)(l->cpu * 1000);
	}
}

/* The most first; equal ones stay where they are. */
static int compare(const void *a, const void *b, void *by)
{
	const struct line *x = a, *y = b;
	uint64_t p = sort_key(x, *(enum sort *)by), q = sort_key(y, *(enum sort *)by);

	if (p != q)
		return p < q ? 1 : -1;
	return x->jail->jid - y->jail->jid;
}

static uint64_t a_second(uint64_t now, uint64_t before, double seconds)
{
	return now > before ? (uint64_t)((double)(now - before) / seconds) : 0;
}

/* Both looks are sorted by jid. A jail that was not there before has used all of it since. */
static void find_rates(struct top *t)
{
	static const struct usage none;
	double seconds = (double)(t->now_ns - t->before_ns) / 1e9;
	size_t b = 0;

	free(t->line);
	t->line = mem_alloc((t->now.n + 1) * sizeof(*t->line));
	for (size_t i = 0; i < t->now.n; i++) {
		const struct overview_jail *j = &t->now.v[i];
		while (b < t->before.n && t->before.v[b].jid < j->jid)
			b++;
		bool same = b < t->before.n && t->before.v[b].jid == j->jid &&
			    str_eq(t->before.v[b].name, j->name);
		const struct usage *was = same ? &t->before.v[b].usage : &none;
		t->line[i] = (struct line){
		    .jail = j,
		    .cpu = (double)a_second(j->usage.cg.cpu_usec, was->cg.cpu_usec, seconds) / 1e4,
		    .rx = a_second(j->usage.rx_bytes, was->rx_bytes, seconds),
		    .tx = a_second(j->usage.tx_bytes, was->tx_bytes, seconds),
		};
	}
	qsort_r(t->line, t->now.n, sizeof(*t->line), compare, &t->sort);
}

static int look(struct top *t, struct ng_err *err)
{
	struct timespec ts;

	overview_done(&t->before);
	t->before = t->now;
	t->before_ns = t->now_ns;
	t->now = (struct overview){0};
	int rc = overview_running(&t->state, &t->now, err);
	clock_gettime(CLOCK_MONOTONIC, &ts);
	t->now_ns = (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
	return rc;
}

static void print_rows(struct output *o, const struct top *t, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct line *l = &t->line[i];
		const struct cgroup_usage *u = &l->jail->usage.cg;
		output_row(o);
		output_str(o, "name", "NAME", l->jail->name);
		output_num(o, "jid", "JID", (uint64_t)l->jail->jid);
		output_num(o, "processes", "PROCS", u->processes);
		output_bytes(o, "memory", "MEMORY", u->memory);
		output_real(o, "cpu_percent", "CPU%", l->cpu);
		output_bytes(o, "rx_rate", "IN/s", l->rx);
		output_bytes(o, "tx_rate", "OUT/s", l->tx);
	}
}

static int print_batch(struct top *t)
{
	struct output *o = output_open(stdout, t->json, "jails");

	if (!t->json && t->shown)
		putchar('\n');
	output_width(o, 0);
	print_rows(o, t, t->now.n);
	if (!t->json && !t->now.n)
		puts("no jail is running");
	return output_close(o);
}

/* How many bytes of a line fit into so many columns. */
static int fitting(const char *line, int columns)
{
	int n = 0;

	/* What continues a UTF-8 sequence takes no room. */
	for (; line[n] && line[n] != '\n'; n++)
		if (((unsigned char)line[n] & 0xc0) != 0x80 && columns-- == 0)
			break;
	return n;
}

/* The whole screen anew, each line over what was there: nothing flickers. */
static void put_screen(const char *text, const struct winsize *size)
{
	int row = 0;

	fputs("\033[H", stdout);
	while (*text && row < size->ws_row) {
		printf("%s%.*s\033[K", row++ ? "\r\n" : "", fitting(text, size->ws_col), text);
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	fputs("\033[J", stdout);
	fflush(stdout);
}

static int print_screen(struct top *t)
{
	struct winsize size = {0};
	char *text = NULL;
	size_t len = 0, n = t->now.n;
	FILE *f = open_memstream(&text, &len);
	uint64_t processes = 0;
	double cpu = 0;

	if (!f)
		return -ENOMEM;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || !size.ws_row || !size.ws_col)
		size = (struct winsize){.ws_row = 24, .ws_col = 80};
	for (size_t i = 0; i < n; i++) {
		processes += t->line[i].jail->usage.cg.processes;
		cpu += t->line[i].cpu;
	}
	fprintf(f, "%zu jails, %" PRIu64 " processes, CPU %.1f%%   by %s (c m n p), q quits\n\n", n,
		processes, cpu, sorts[t->sort]);
	struct output *o = output_open(f, false, "jails");
	output_width(o, size.ws_col);
	print_rows(o, t, n < size.ws_row ? n : size.ws_row);
	int rc = output_close(o);
	fclose(f);
	if (rc == 0)
		put_screen(text, &size);
	free(text);
	return rc;
}

static int print(struct top *t)
{
	find_rates(t);
	return t->batch ? print_batch(t) : print_screen(t);
}

/* ---- the terminal ---- */

static void take_terminal(struct top *t)
{
	struct termios keys = t->terminal;

	keys.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	tcsetattr(STDIN_FILENO, TCSADRAIN, &keys);
	fputs("\033[?1049h\033[?25l", stdout);
}

static void give_terminal_back(struct top *t)
{
	fputs("\033[?25h\033[?1049l", stdout);
	fflush(stdout);
	tcsetattr(STDIN_FILENO, TCSADRAIN, &t->terminal);
}

/* False: the user has had enough. */
static bool take_keys(struct top *t)
{
	static const char letters[] = "cmnp";
	char in[64];
	ssize_t n = read(STDIN_FILENO, in, sizeof(in));

	if (n == 0 || (n < 0 && errno != EINTR))
		return false;
	for (ssize_t i = 0; i < n; i++) {
		const char *found = memchr(letters, in[i], strlen(letters));
		if (in[i] == 'q')
			return false;
		if (found)
			t->sort = (enum sort)(found - letters);
	}
	return true;
}

/* The signal that ends us, or 0. */
static int take_signal(struct top *t, int fd)
{
	struct signalfd_siginfo si;

	if (read(fd, &si, sizeof(si)) != sizeof(si))
		return 0;
	switch (si.ssi_signo) {
	case SIGTSTP:
		give_terminal_back(t);
		kill(getpid(), SIGSTOP);
		return 0;
	case SIGCONT:
		take_terminal(t);
		return 0;
	case SIGWINCH:
		return 0;
	default:
		return (int)si.ssi_signo;
	}
}

/* ---- again and again ---- */

static int open_timer(double delay)
{
	double first = delay < FIRST ? delay : FIRST;
	struct itimerspec when = {
	    .it_value = {(time_t)first, (long)((first - (double)(time_t)first) * 1e9)},
	    .it_interval = {(time_t)delay, (long)((delay - (double)(time_t)delay) * 1e9)},
	};
	autoclose int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);

	if (fd < 0 || timerfd_settime(fd, 0, &when, NULL) < 0)
		return -errno;
	return take_fd(&fd);
}

/* Until the count is reached, the user or a signal (*sig) ends it, or nobody reads any more. */
static int watch(struct top *t, int timer, int signals, int *sig, struct ng_err *err)
{
	enum { TIMER, SIGNAL, OUT, KEYS };
	struct pollfd p[] = {[TIMER] = {.fd = timer, .events = POLLIN},
			     [SIGNAL] = {.fd = signals, .events = POLLIN},
			     [OUT] = {.fd = STDOUT_FILENO},
			     [KEYS] = {.fd = t->batch ? -1 : STDIN_FILENO, .events = POLLIN}};
	int rc = look(t, err);

	while (rc == 0 && (!t->count || t->shown < t->count)) {
		uint64_t ticks;
		if (poll(p, ARRAY_SIZE(p), -1) < 0)
			continue;
		if (p[OUT].revents & (POLLERR | POLLHUP))
			return 0;
		if (p[SIGNAL].revents && (*sig = take_signal(t, signals)))
			return 0;
		if (p[KEYS].revents && !take_keys(t))
			return 0;
		if (p[TIMER].revents && read(timer, &ticks, sizeof(ticks)) > 0)
			rc = look(t, err);
		else if (!t->before_ns)
			continue; /* there are no rates yet */
		if (rc < 0)
			break;
		rc = print(t);
		if (rc < 0)
			return err_sys(err, rc, "standard output");
		t->shown += p[TIMER].revents != 0;
	}
	return rc;
}

static int run(struct top *t, int *sig, struct ng_err *err)
{
	static const int taken[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGCONT, SIGWINCH};
	autoclose int timer = open_timer(t->delay), signals = -1;
	sigset_t set, mask;

	if (timer < 0)
		return err_sys(err, timer, "timerfd");
	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(taken); i++)
		sigaddset(&set, taken[i]);
	signals = t->batch ? -1 : signalfd(-1, &set, SFD_CLOEXEC);
	if (t->batch)
		return watch(t, timer, signals, sig, err);
	if (signals < 0)
		return err_sys(err, errno, "signalfd");
	sigprocmask(SIG_BLOCK, &set, &mask);
	take_terminal(t);
	int rc = watch(t, timer, signals, sig, err);
	give_terminal_back(t);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	return rc;
}

/* ---- the command line ---- */

static bool parse_number(const char *text, double least, double most, double *out)
{
	char *end = NULL;

	if (*text < '0' || *text > '9')
		return false;
	*out = strtod(text, &end);
	return *end == '\0' && *out >= least && *out <= most;
}

static bool parse_sort(const char *text, enum sort *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(sorts); i++)
		if (str_prefix(sorts[i], text) && *text) {
			*out = (enum sort)i;
			return true;
		}
	return false;
}

static bool parse(struct top *t, int argc, char **argv)
{
	static const struct option longs[] = {{"json", no_argument, NULL, 'j'}, {0}};
	double count = 0;

	for (int opt; (opt = getopt_long(argc, argv, "bd:n:s:", longs, NULL)) != -1;) {
		bool good = true;
		if (opt == 'b' || opt == 'j')
			t->batch = true;
		if (opt == 'j')
			t->json = true;
		if (opt == 'd')
			good = parse_number(optarg, 0.1, 86400, &t->delay);
		if (opt == 'n')
			good = parse_number(optarg, 1, 1e9, &count);
		if (opt == 's')
			good = parse_sort(optarg, &t->sort);
		if (opt == '?') {
			usage(&cmd_top);
			return false;
		}
		if (!good) {
			warn_msg(opt == 'd'   ? "-d %s: seconds, from 0.1 to 86400"
				 : opt == 'n' ? "-n %s: how often, 1 or more"
					      : "-s %s: cpu, memory, network or processes",
				 optarg);
			return false;
		}
	}
	t->count = (uint64_t)count;
	if (optind < argc)
		usage(&cmd_top);
	return optind == argc;
}

static int top_run(int argc, char **argv)
{
	struct top t = {.delay = DELAY, .state = {.dir = -1}};
	struct ng_err err = {0};
	int sig = 0;

	if (!parse(&t, argc, argv))
		return 1;
	if (!isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &t.terminal) < 0)
		t.batch = true;
	int rc = state_open(&t.state, cmd_root, &err);
	if (rc == 0)
		rc = run(&t, &sig, &err);
	if (rc < 0)
		warn_msg("%s", err.text);
	overview_done(&t.now);
	overview_done(&t.before);
	free(t.line);
	state_done(&t.state);
	return sig ? enter_end_like(sig) : rc < 0;
}

const struct cmd cmd_top = {
    .name = "top",
    .run = top_run,
    .args = "[-b] [-d SECONDS] [-n COUNT] [-s SORT] [--json]",
    .summary = "running jails by what they use now, refreshed",
    .help = "  -b          tables one after the other, as in a pipe\n"
	    "  -d SECONDS  between two looks, 2 if not said\n"
	    "  -n COUNT    so many, then the end\n"
	    "  -s SORT     by cpu, memory, network or processes\n"
	    "\n"
	    "On a terminal c, m, n and p sort by one of these, q quits. CPU% is of one\n"
	    "processor; IN/s and OUT/s are bytes as the jail sees them. --json prints one\n"
	    "object for each look.\n",
};
