/* The floor: the system calls that a jail needs and nothing else. It reads no configuration, keeps
 * no state, reports no progress; newgate is measured against it on the same machine, in the same
 * run.
 *
 *   floor [-v] [-n ROUNDS] [OPTIONS] COMMAND
 *       makes a jail, runs COMMAND in it, removes it; -v: says where the time went, in µs (the
 *       minimum, the median)
 *   floor -k COUNT -l LIST [OPTIONS] COMMAND
 *       makes COUNT jails and leaves them running, each with COMMAND
 *   floor -x LIST [OPTIONS]
 *       ends those
 *
 *   -p PARTS   of "user,net,veth,element,overlay,dirs,cgroup,filter"; default: all but dirs
 *   -r ROOT    the jail's tree; COMMAND is a path in it
 *   -s STATE   a folder for what overlays change: STATE/N/{upper,work,root} is there for the Nth
 *              jail, or made and removed with it (dirs)
 *   -c CGROUP  the folder in which to make cgroups
 *
 * To be run in mount and network namespaces of its own. With `element`, table `inet floor` has to
 * have a set `jails { type ipv4_addr; }`. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/sched.h>
#include "floor.h"

#define LINK_BASE 1000000 /* interface indices: chosen, so that none has to be asked for */

static const char *const part_names[] = {"user",    "net",  "veth",   "element",
					 "overlay", "dirs", "cgroup", "filter"};
#define PARTS 8

static const char *const step_names[STEPS] = {
    "cgroup made",
    "upper and work made",
    "clone3",
    "ids mapped",
    "veth made",
    "host end up, route",
    "element added",
    "jail: became root",
    "jail: root mounted",
    "jail: /proc",
    "jail: /sys",
    "jail: /dev",
    "jail: pivot_root",
    "jail: network",
    "jail: capabilities, filter",
    "exec",
    "ran, was reaped",
    "element left to be deleted",
    "cgroup removed",
    "upper and work gone",
    "total",
};

unsigned parts = 0xff & ~DIRS;
const char *root = "root", *state = "state", *command = "/bin/true";
static int cgroup_base = -1, route_sock = -1, filter_sock = -1;
struct wire wire;

double *child_time;
static double *times[STEPS]; /* of each round */
static int current;
static double last;

static _Noreturn void die(const char *what, int error)
{
	fprintf(stderr, "floor: %s: %s\n", what, strerror(error));
	exit(1);
}

double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void done(enum step s)
{
	double t = now();
	times[s][current] = t - last;
	last = t;
}

struct jail {
	int number, index; /* of this run's; of the machine's */
	pid_t pid;
	int pidfd, sock;
};

static void put_map(pid_t pid, const char *file, const char *text)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die(path, errno);
	close(fd);
}

static void make_dirs(const struct jail *j)
{
	static const char *const names[] = {"upper", "work", "root"};
	char path[256];
	snprintf(path, sizeof path, "%s/%d", state, j->number);
	if (mkdir(path, 0755) < 0)
		die(path, errno);
	int fd = open(path, O_DIRECTORY | O_CLOEXEC);
	for (unsigned i = 0; i < 3; i++)
		if (mkdirat(fd, names[i], 0755) < 0 ||
		    fchownat(fd, names[i], ID_BASE, ID_BASE, 0) < 0)
			die(path, errno);
	close(fd);
}

static void remove_dirs(const struct jail *j)
{
	static const char *const names[] = {"work/work", "work", "upper", "root"};
	char path[256];
	snprintf(path, sizeof path, "%s/%d", state, j->number);
	int fd = open(path, O_DIRECTORY | O_CLOEXEC);
	for (unsigned i = 0; i < 4; i++)
		if (unlinkat(fd, names[i], AT_REMOVEDIR) < 0)
			die(names[i], errno);
	close(fd);
	if (rmdir(path) < 0)
		die(path, errno);
}

static void start(struct jail *j)
{
	int ends[2], cgroup = -1;
	char name[16];
	snprintf(name, sizeof name, "f%d", j->index);
	if (parts & CGROUP) {
		if (mkdirat(cgroup_base, name, 0755) < 0)
			die("cgroup", errno);
		cgroup = openat(cgroup_base, name, O_DIRECTORY | O_CLOEXEC);
		done(MAKE_CGROUP);
	}
	if (parts & DIRS) {
		make_dirs(j);
		done(MAKE_DIRS);
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		die("socketpair", errno);
	struct clone_args args = {
	    .flags = CLONE_PIDFD | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC |
		     CLONE_NEWCGROUP | (parts & USER ? CLONE_NEWUSER : 0) |
		     (parts & NET ? CLONE_NEWNET : 0) | (parts & CGROUP ? CLONE_INTO_CGROUP : 0),
	    .pidfd = (uintptr_t)&j->pidfd,
	    .exit_signal = SIGCHLD,
	    .cgroup = parts & CGROUP ? (unsigned)cgroup : 0,
	};
	j->pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
	if (j->pid < 0)
		die("clone3", errno);
	if (j->pid == 0) {
		close(ends[0]);
		inside(j->number, j->index, ends[1]);
	}
	j->sock = ends[0];
	close(ends[1]);
	if (cgroup >= 0)
		close(cgroup);
	done(CLONE);
}

static void go_on(const struct jail *j)
{
	/* A child that is gone is noticed when its answer is read. */
	if (send(j->sock, "", 1, MSG_NOSIGNAL) < 0 && errno != EPIPE)
		die("send", errno);
}

static void connect_net(const struct jail *j)
{
	char name[16];
	int link = LINK_BASE + j->index, r;
	uint32_t ip = htonl(ADDRESS_BASE + (uint32_t)j->index);
	snprintf(name, sizeof name, "f%d", j->index);
	wire_veth(&wire, name, link, j->pid);
	if ((r = wire_send(&wire, route_sock, wire.last)) < 0)
		die("veth", -r);
	done(MAKE_VETH);
	go_on(j);
	wire_up(&wire, link);
	wire_route(&wire, link, ip, 32, 0);
	if ((r = wire_send(&wire, route_sock, wire.last)) < 0)
		die("host end", -r);
	done(ADD_ROUTE);
	if (parts & ELEMENT && (r = wire_element(&wire, filter_sock, 1, ip)) < 0)
		die("element", -r);
	done(ADD_ELEMENT);
}

/* The child's end of the socket closes by its exec, or by its end. */
static void await_exec(struct jail *j)
{
	struct failure f;
	ssize_t n = read(j->sock, &f, sizeof f);
	if (n == sizeof f)
		die(f.what, f.error);
	close(j->sock);
	double t = now();
	for (int s = IN_USER; s <= IN_LIMITS; s++)
		times[s][current] = child_time[s];
	times[EXEC][current] = t - child_time[EXEC];
	last = t;
}

static void make(struct jail *j)
{
	start(j);
	if (parts & USER) {
		char text[64];
		snprintf(text, sizeof text, "0 %u 65536\n", ID_BASE);
		put_map(j->pid, "uid_map", text);
		put_map(j->pid, "gid_map", text);
		done(MAP_IDS);
		go_on(j);
	}
	if (parts & VETH)
		connect_net(j);
	else
		go_on(j);
	await_exec(j);
}

/* Closing a socket over which elements were deleted takes its time: nobody waits for this one. */
static void delete_elements(const struct jail *j, int n)
{
	pid_t pid = fork();
	if (pid < 0)
		die("fork", errno);
	if (pid > 0)
		return;
	for (int i = 0; i < n; i++)
		wire_element(&wire, filter_sock, 0, htonl(ADDRESS_BASE + (uint32_t)j[i].index));
	_exit(0);
}

static void reap(const struct jail *j)
{
	siginfo_t si = {0};
	if (waitid(P_PIDFD, (id_t)j->pidfd, &si, WEXITED) < 0)
		die("waitid", errno);
	if (si.si_code != CLD_EXITED || si.si_status != 0) {
		fprintf(stderr, "floor: %s ended with %d\n", command, si.si_status);
		exit(1);
	}
	close(j->pidfd);
	done(RUN);
}

static void remove_cgroup(const struct jail *j)
{
	char name[16];
	snprintf(name, sizeof name, "f%d", j->index);
	if (unlinkat(cgroup_base, name, AT_REMOVEDIR) < 0)
		die("rmdir cgroup", errno);
}

static void one_round(int number, int index)
{
	struct jail j = {.number = number, .index = index, .pidfd = -1};
	double begin = last = now();
	make(&j);
	reap(&j);
	if (parts & ELEMENT) {
		delete_elements(&j, 1);
		done(DELETE_ELEMENT);
	}
	if (parts & CGROUP) {
		remove_cgroup(&j);
		done(REMOVE_CGROUP);
	}
	if (parts & DIRS) {
		remove_dirs(&j);
		done(REMOVE_DIRS);
	}
	times[TOTAL][current] = last - begin;
}

/* Many */

static void keep(int count, int index, const char *list)
{
	FILE *f = fopen(list, "we");
	if (!f)
		die(list, errno);
	for (int i = 0; i < count; i++) {
		struct jail j = {.number = i, .index = index + i, .pidfd = -1};
		make(&j);
		close(j.pidfd);
		fprintf(f, "%d %d\n", j.index, (int)j.pid);
	}
	if (fclose(f) != 0)
		die(list, errno);
}

static int read_list(const char *list, struct jail **out)
{
	int n = 0;
	FILE *f = fopen(list, "re");
	if (!f)
		die(list, errno);
	struct jail j = {0}, *all = NULL;
	while (fscanf(f, "%d %d", &j.index, &j.pid) == 2) {
		all = realloc(all, ((size_t)n + 1) * sizeof *all);
		if (!all)
			die("memory", errno);
		all[n++] = j;
	}
	fclose(f);
	*out = all;
	return n;
}

static void end_all(const char *list)
{
	struct jail *j;
	int n = read_list(list, &j);
	for (int i = 0; i < n; i++) {
		j[i].pidfd = (int)syscall(SYS_pidfd_open, j[i].pid, 0);
		if (j[i].pidfd < 0 ||
		    syscall(SYS_pidfd_send_signal, j[i].pidfd, SIGKILL, NULL, 0) < 0)
			die("kill", errno);
	}
	for (int i = 0; i < n; i++) {
		struct pollfd p = {.fd = j[i].pidfd, .events = POLLIN};
		if (poll(&p, 1, -1) < 0)
			die("poll", errno);
	}
	if (parts & ELEMENT)
		delete_elements(j, n);
	for (int i = 0; parts & CGROUP && i < n; i++)
		remove_cgroup(&j[i]);
	free(j);
}

/* Command line */

static unsigned parse_parts(char *text)
{
	unsigned out = 0;
	for (char *p = strtok(text, ","); p; p = strtok(NULL, ",")) {
		unsigned i = 0;
		while (i < PARTS && strcmp(p, part_names[i]) != 0)
			i++;
		if (i == PARTS)
			die(p, EINVAL);
		out |= 1U << i;
	}
	return out;
}

static int smaller(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void print_times(int rounds)
{
	for (int s = 0; s < STEPS; s++) {
		qsort(times[s], (size_t)rounds, sizeof(double), smaller);
		if (times[s][rounds - 1] > 0)
			printf("%-28s %9.1f %9.1f\n", step_names[s], times[s][0],
			       times[s][rounds / 2]);
	}
}

static void prepare(int rounds)
{
	child_time = mmap(NULL, STEPS * sizeof(double), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (child_time == MAP_FAILED)
		die("mmap", errno);
	for (int s = 0; s < STEPS; s++) {
		times[s] = calloc((size_t)rounds, sizeof(double));
		if (!times[s])
			die("memory", errno);
	}
	if (parts & VETH && (route_sock = wire_open(NETLINK_ROUTE)) < 0)
		die("netlink", -route_sock);
	if (parts & ELEMENT && (filter_sock = wire_open(NETLINK_NETFILTER)) < 0)
		die("netlink", -filter_sock);
}

int main(int argc, char **argv)
{
	const char *list = NULL, *end = NULL, *cgroup = "/sys/fs/cgroup";
	int o, rounds = 1, count = 0;
	bool verbose = false;
	while ((o = getopt(argc, argv, "vn:k:l:x:p:r:s:c:")) > 0) {
		if (o == 'v')
			verbose = true;
		else if (o == 'n')
			rounds = atoi(optarg);
		else if (o == 'k')
			count = atoi(optarg);
		else if (o == 'l')
			list = optarg;
		else if (o == 'x')
			end = optarg;
		else if (o == 'p')
			parts = parse_parts(optarg);
		else if (o == 'r')
			root = optarg;
		else if (o == 's')
			state = optarg;
		else if (o == 'c')
			cgroup = optarg;
		else
			return 64;
	}
	if (optind < argc)
		command = argv[optind];
	if (rounds < 1 || (count > 0 && !list))
		return 64;
	if (parts & CGROUP && (cgroup_base = open(cgroup, O_DIRECTORY | O_CLOEXEC)) < 0)
		die(cgroup, errno);
	prepare(rounds);
	/* Names of a jail that is just gone stay taken for a moment: no two runs use the same. */
	int index = (int)getpid();
	if (end)
		end_all(end);
	else if (count > 0)
		keep(count, index, list);
	else
		for (current = 0; current < rounds; current++)
			one_round(0, index + current);
	if (verbose)
		print_times(rounds);
	return 0;
}
