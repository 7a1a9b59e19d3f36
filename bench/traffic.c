/* Traffic between two network namespaces, bounded in count.
 *
 *   traffic connect COUNT SERVER-NETNS LISTEN-PORT CLIENT-NETNS ADDRESS FIRST-PORT [PORTS]
 *       COUNT connections one after the other, each with a byte there and back, to ports FIRST-PORT
 *       and the PORTS - 1 behind it in turn; prints connections a second
 *   traffic ping COUNT …                COUNT round trips of a byte over one connection; prints µs
 *   traffic stream MEBIBYTES …          as much over one connection; prints Gbit/s
 *
 * IPv4; namespaces are given as paths. ADDRESS and port are what the client asks for, which need
 * not be where the server listens. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHUNK (256 * 1024)

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "traffic: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void enter(const char *netns)
{
	int fd = open(netns, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		die(netns);
	close(fd);
}

/* Server and client each have a processor of their own, if there are two. */
static void pin(int cpu)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	(void)sched_setaffinity(0, sizeof set, &set);
}

static int tcp_socket(void)
{
	int sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	if (sock < 0 || setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0 ||
	    setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0)
		die("socket");
	return sock;
}

static int listen_at(int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int sock = tcp_socket();
	if (bind(sock, (struct sockaddr *)&a, sizeof a) < 0 || listen(sock, 128) < 0)
		die("listen");
	return sock;
}

static int connect_to(const char *address, int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int sock = tcp_socket();
	if (inet_pton(AF_INET, address, &a.sin_addr) != 1) {
		errno = EINVAL;
		die(address);
	}
	if (connect(sock, (struct sockaddr *)&a, sizeof a) < 0)
		die(address);
	return sock;
}

/* Ends a connection at once, without a state that waits for late packets. */
static void reset(int sock)
{
	struct linger l = {.l_onoff = 1};
	setsockopt(sock, SOL_SOCKET, SO_LINGER, &l, sizeof l);
	close(sock);
}

/* The server: answers each byte (or, for a stream, the last of `bytes`) until the client hangs up.
 */
static void serve_one(int sock, long long bytes)
{
	static char buf[CHUNK];
	long long got = 0;
	ssize_t n;
	while ((n = read(sock, buf, sizeof buf)) > 0) {
		got += n;
		if (got >= bytes && write(sock, buf, 1) != 1)
			break;
	}
	close(sock);
}

static _Noreturn void serve(int listener, long long bytes)
{
	pin(1);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		int sock = accept4(listener, NULL, NULL, SOCK_CLOEXEC), one = 1;
		if (sock < 0)
			die("accept");
		setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		serve_one(sock, bytes);
	}
}

static void exchange(int sock)
{
	char c = 'x';
	if (write(sock, &c, 1) != 1 || read(sock, &c, 1) != 1)
		die("exchange");
}

static double run_connect(long count, const char *address, int port, int ports)
{
	double begin = now();
	for (long i = 0; i < count; i++) {
		int sock = connect_to(address, port + (int)(i % ports));
		exchange(sock);
		reset(sock);
	}
	return (double)count / (now() - begin);
}

static double run_ping(long count, const char *address, int port)
{
	int sock = connect_to(address, port);
	double begin = now();
	for (long i = 0; i < count; i++)
		exchange(sock);
	double took = now() - begin;
	reset(sock);
	return took / (double)count * 1e6;
}

static double run_stream(long long bytes, const char *address, int port)
{
	static char buf[CHUNK];
	int sock = connect_to(address, port);
	double begin = now();
	for (long long sent = 0; sent < bytes;) {
		ssize_t n = write(sock, buf, sizeof buf);
		if (n <= 0)
			die("send");
		sent += n;
	}
	if (read(sock, buf, 1) != 1)
		die("the last byte");
	double took = now() - begin;
	reset(sock);
	return (double)bytes * 8 / took / 1e9;
}

int main(int argc, char **argv)
{
	if (argc < 8 || argc > 9)
		return 64;
	const char *what = argv[1], *address = argv[6];
	long count = atol(argv[2]);
	int port = atoi(argv[7]), ports = argc == 9 ? atoi(argv[8]) : 1;
	long long bytes = what[0] == 's' ? (long long)count << 20 : 1;
	enter(argv[3]);
	int listener = listen_at(atoi(argv[4]));
	pid_t server = fork();
	if (server < 0)
		die("fork");
	if (server == 0)
		serve(listener, bytes);
	close(listener);
	enter(argv[5]);
	pin(0);
	if (strcmp(what, "connect") == 0 && ports > 0)
		printf("%.1f\n", run_connect(count, address, port, ports));
	else if (strcmp(what, "ping") == 0)
		printf("%.3f\n", run_ping(count, address, port));
	else if (strcmp(what, "stream") == 0)
		printf("%.3f\n", run_stream(bytes, address, port));
	else
		return 64;
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	return 0;
}
