/* Runs commands in turn and says how long each took: A B C A B C …, so that whatever else the
 * machine does falls on all of them alike.
 *
 *   spawn [-g MS] [-w ROUNDS] ROUNDS {[--before COMMAND]… --time COMMAND [--after COMMAND]…}…
 *
 * Prints a line a round: for each --time, from the request to make the process until it is reaped,
 * in nanoseconds. What stands before and after it is run for it but not counted. `{}` in an
 * argument is a number that no other run of a command has (those of one round and contestant share
 * it). A command that fails ends it all.
 *
 *   -g MS      the pause behind each contestant: the kernel takes network namespaces and mounts
 *              apart after their last process was reaped, which is not to be the next one's burden
 *   -w ROUNDS  are run first and not printed (1) */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ARGS 128

extern char **environ;

struct command {
	char kind; /* 'b'efore, 't'ime, 'a'fter */
	char **arg;
	int n;
};

static posix_spawn_file_actions_t actions;
static unsigned long serial;

static _Noreturn void die(const char *what, const char *why)
{
	fprintf(stderr, "spawn: %s: %s\n", what, why);
	exit(1);
}

static long long now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (long long)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* arg with every {} replaced; the caller frees it. */
static char *expand(const char *arg)
{
	char *out = NULL;
	size_t size;
	FILE *f = open_memstream(&out, &size);
	if (!f)
		die("memory", strerror(errno));
	for (const char *p = arg; *p;) {
		if (p[0] == '{' && p[1] == '}') {
			fprintf(f, "%lu", serial);
			p += 2;
		} else {
			fputc(*p++, f);
		}
	}
	if (fclose(f) != 0)
		die("memory", strerror(errno));
	return out;
}

static long long run(const struct command *c)
{
	char *argv[ARGS + 1] = {NULL};
	pid_t pid;
	int status;
	for (int i = 0; i < c->n; i++)
		argv[i] = expand(c->arg[i]);
	long long begin = now();
	int error = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
	if (error)
		die(argv[0], strerror(error));
	if (wait4(pid, &status, 0, NULL) < 0)
		die(argv[0], strerror(errno));
	long long took = now() - begin;
	if (status != 0) {
		fprintf(stderr, "spawn: wait status %#x:", (unsigned)status);
		for (int i = 0; i < c->n; i++)
			fprintf(stderr, " %s", argv[i]);
		fputc('\n', stderr);
		exit(1);
	}
	for (int i = 0; i < c->n; i++)
		free(argv[i]);
	return took;
}

static char kind_of(const char *arg)
{
	static const char *const words[] = {"--before", "--time", "--after"};
	for (int i = 0; i < 3; i++)
		if (strcmp(arg, words[i]) == 0)
			return words[i][2];
	return 0;
}

static int parse(char **argv, struct command *out)
{
	int n = 0;
	for (; *argv; argv++) {
		char kind = kind_of(*argv);
		if (kind)
			out[n++] = (struct command){.kind = kind, .arg = argv + 1};
		else if (n == 0 || out[n - 1].n == ARGS)
			die(*argv, "--before, --time or --after expected");
		else
			out[n - 1].n++;
	}
	return n;
}

static void rest(long ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};
	nanosleep(&t, NULL);
}

/* A contestant ends where the next --before or --time begins. */
static int ends_here(const struct command *c, int i, int n, int timed)
{
	return i + 1 == n || (timed && c[i + 1].kind != 'a');
}

static void one_round(const struct command *c, int n, long gap, int print)
{
	int timed = 0;
	for (int i = 0; i < n; i++) {
		long long took = run(&c[i]);
		if (c[i].kind == 't') {
			timed = 1;
			if (print)
				printf("%lld ", took);
		}
		if (ends_here(c, i, n, timed)) {
			timed = 0;
			serial++;
			rest(gap);
		}
	}
	if (print) {
		putchar('\n');
		fflush(stdout);
	}
}

int main(int argc, char **argv)
{
	long gap = 0, warm = 1;
	int o;
	while ((o = getopt(argc, argv, "+g:w:")) > 0) {
		if (o == 'g')
			gap = atol(optarg);
		else if (o == 'w')
			warm = atol(optarg);
		else
			return 64;
	}
	if (optind >= argc)
		return 64;
	long rounds = atol(argv[optind]);
	struct command *c = calloc((size_t)argc, sizeof *c);
	if (!c)
		die("memory", strerror(errno));
	int n = parse(argv + optind + 1, c);
	serial = (unsigned long)getpid() * 1000;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	for (long r = -warm; r < rounds; r++)
		one_round(c, n, gap, r >= 0);
	posix_spawn_file_actions_destroy(&actions);
	free(c);
	return 0;
}
