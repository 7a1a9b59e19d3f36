/* What others let the mail host do: connect to them on port 25, and be no source of spam. Others are
 * asked here, and only where somebody asked for it. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include "base/mem.h"
#include "base/num.h"
#include "doctor/mail.h"
#include "host/lookup.h"

#define SMTP 25
#define PATIENCE 5000 /* ms, for a connection and for the greeting each */
#define LIST "zen.spamhaus.org"

/* ---- port 25 ---- */

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int wait_for(int fd, short events, int64_t until)
{
	struct pollfd p = {fd, events, 0};

	for (;;) {
		int64_t left = until - now();
		int n = left > 0 ? poll(&p, 1, (int)left) : 0;

		if (n > 0)
			return 0;
		if (n == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

union place {
	struct sockaddr any;
	struct sockaddr_in four;
	struct sockaddr_in6 six;
};

static socklen_t place_of(const struct ip *ip, union place *out)
{
	*out = (union place){.any = {.sa_family = (sa_family_t)ip->family}};
	if (ip->family == AF_INET) {
		out->four.sin_port = htons(SMTP);
		memcpy(&out->four.sin_addr, ip->bytes, 4);
		return sizeof out->four;
	}
	out->six.sin6_port = htons(SMTP);
	memcpy(&out->six.sin6_addr, ip->bytes, 16);
	return sizeof out->six;
}

bool mail_source(int family, struct ip *out)
{
	/* A root server's addresses: of those everybody has a route to. */
	const char *far = family == AF_INET ? "198.41.0.4" : "2001:503:ba3e::2:30";
	autoclose int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	union place p;
	socklen_t size;

	if (fd < 0 || ip_parse(far, out) < 0)
		return false;
	size = place_of(out, &p);
	if (connect(fd, &p.any, size) < 0 || getsockname(fd, &p.any, &size) < 0)
		return false;
	*out = (struct ip){.family = family};
	if (family == AF_INET)
		memcpy(out->bytes, &p.four.sin_addr, 4);
	else
		memcpy(out->bytes, &p.six.sin6_addr, 16);
	return true;
}

static int connect_to(const struct ip *ip)
{
	union place to;
	socklen_t size = place_of(ip, &to);
	autoclose int fd = socket(ip->family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int failed = 0;

	if (fd < 0)
		return -errno;
	if (connect(fd, &to.any, size) < 0 && errno != EINPROGRESS)
		return -errno;
	int rc = wait_for(fd, POLLOUT, now() + PATIENCE);
	size = sizeof failed;
	if (rc == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &size) < 0)
		failed = errno;
	return rc < 0 ? rc : failed ? -failed : take_fd(&fd);
}

/* The first line that a mail server says. 0 or -errno; -ECONNRESET: it ended without one. */
static int greeting_of(const struct ip *ip, char *line, size_t size)
{
	autoclose int fd = connect_to(ip);
	size_t n = 0;
	int64_t until = now() + PATIENCE;

	if (fd < 0)
		return fd;
	while (n < size - 1 && !memchr(line, '\n', n)) {
		int rc = wait_for(fd, POLLIN, until);
		ssize_t got = rc < 0 ? rc : recv(fd, line + n, size - 1 - n, 0);

		if (got < 0 && rc == 0)
			rc = errno == EAGAIN ? 0 : -errno;
		if (rc < 0 || got == 0)
			return rc < 0 ? rc : -ECONNRESET;
		n += got > 0 ? (size_t)got : 0;
	}
	line[n] = '\0';
	line[strcspn(line, "\r\n")] = '\0';
	(void)send(fd, "QUIT\r\n", 6, MSG_NOSIGNAL);
	return 0;
}

/* The mail server that comes first; where there is no MX record, the domain itself. */
static int first_mx(const struct doctor *d, struct str *out, struct ng_err *err)
{
	struct strv found autodone(strv_done) = {0};
	unsigned long best = 65536;
	int rc = lookup(d->root, LOOKUP_MX, d->probe, &found, err);

	if (rc == -EAGAIN)
		return rc;
	for (size_t i = 0; i < found.n; i++) {
		char *name;
		unsigned long preference = strtoul(found.v[i], &name, 10);

		if (preference >= best)
			continue;
		best = preference;
		str_done(out);
		str_add(out, name + 1);
	}
	if (!out->len)
		str_add(out, d->probe);
	return 0;
}

static void tell_blocked(struct doctor *d, const char *to, int family, int code)
{
	bool four = family == AF_INET;
	struct finding *f = found(d, four ? DOCTOR_HINDERS : DOCTOR_ADVICE,
				  "no connection to %s port %d: %s", to, SMTP, strerror(-code));

	because(f, four
		       ? "letters to others stay in the queue; many providers keep the port closed "
			 "until one asks them"
		       : "letters wait until they are tried by IPv4");
	mend(f, four ? "# ask the provider to open outgoing tcp port 25 for this host"
		     : "# the same for IPv6; or in " HOST_ETC
		       "/postfix/main.cf: inet_protocols = ipv4");
	if (four)
		mend(f, "# until then, send by somebody else's server, in " HOST_ETC
			"/postfix/main.cf: relayhost = [SERVER]:587");
}

static void try_server(struct doctor *d, const char *server, int family)
{
	struct strv found_ autodone(strv_done) = {0};
	struct str to autodone(str_done) = {0}, said autodone(str_done) = {0};
	struct ng_err err = {0};
	char line[256];
	struct ip ip;
	int rc = lookup(d->root, family == AF_INET ? LOOKUP_A : LOOKUP_AAAA, server, &found_, &err);

	if (rc == -ENOENT && family == AF_INET6)
		return;
	if (rc < 0 || ip_parse(found_.v[0], &ip) < 0) {
		mend(not_examined(d, &err), "newgate doctor " DOCTOR_MAIL " DOMAIN");
		return;
	}
	str_addf(&to, "%s (%s)", server, found_.v[0]);
	rc = greeting_of(&ip, line, sizeof line);
	if (rc < 0) {
		tell_blocked(d, to.s, family, rc);
		return;
	}
	if (str_prefix(line, "220"))
		return;
	str_add_visible(&said, line);
	struct finding *f = found(d, DOCTOR_HINDERS, "%s wants nothing of us: %s", to.s, said.s);
	because(f, "it is not willing to take letters from this address");
	mend(f, "# what it says tells why; newgate doctor mail-listed and mail-dns look for it");
}

void check_mail_out(struct doctor *d)
{
	struct mail_host m autodone(mail_host_done) = {0};
	struct str server autodone(str_done) = {0};
	struct ng_err err = {0}, none = {0};
	bool set_up = mail_host_read(d, &m, &none);

	if (first_mx(d, &server, &err) < 0) {
		mend(not_examined(d, &err), "newgate doctor resolver");
		return;
	}
	if (!set_up || m.h.address4)
		try_server(d, server.s, AF_INET);
	if (set_up && m.h.address6)
		try_server(d, server.s, AF_INET6);
}

/* ---- lists of sources of spam ---- */

const char *listed_as(const char *answer, bool *looked)
{
	static const struct {
		uint32_t first, last;
		const char *as;
	} codes[] = {{2, 3, "a source of spam"},
		     {4, 7, "a machine that others have taken over"},
		     {9, 9, "a network of criminals"},
		     {10, 11, "an address from which nobody should send letters"}};
	uint32_t code;

	*looked = !str_prefix(answer, "127.255.255.");
	if (!str_prefix(answer, "127.0.0.") || num_u32(answer + 8, 0, 255, &code) < 0)
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
		if (code >= codes[i].first && code <= codes[i].last)
			return codes[i].as;
	return NULL;
}

static void check_listed(struct doctor *d, const char *address)
{
	struct strv answer autodone(strv_done) = {0};
	struct ng_err err = {0};
	struct finding *f = NULL;
	struct ip ip;

	if (!address || ip_parse(address, &ip) < 0 || ip_is_private(&ip))
		return;
	autofree char *name = lookup_reverse(&ip, LIST);
	int rc = lookup(d->root, LOOKUP_A, name, &answer, &err);
	if (rc == -EAGAIN) {
		mend(not_examined(d, &err), "# look by hand: https://check.spamhaus.org/");
	}
	for (size_t i = 0; i < answer.n && !f; i++) {
		bool looked;
		const char *as = listed_as(answer.v[i], &looked);

		if (as) {
			f = found(d, DOCTOR_HINDERS, "%s is listed by " LIST " as %s", address, as);
			because(f, "many mail hosts refuse what is sent from there, often for what "
				   "somebody did who had the address before");
			mend(f, "# have it taken off: https://check.spamhaus.org/results?query=%s",
			     address);
		} else if (!looked) {
			f = found(d, DOCTOR_ADVICE,
				  LIST " does not answer the name server that this host asks");
			because(f,
				"it answers no public or busy one, so that nobody knows whether "
				"%s is listed",
				address);
			mend(f, "# look by hand: https://check.spamhaus.org/results?query=%s",
			     address);
		}
	}
}

void check_mail_listed(struct doctor *d)
{
	struct mail_host m autodone(mail_host_done) = {0};
	struct ng_err err = {0};

	if (!mail_host_read(d, &m, &err))
		return;
	check_listed(d, m.h.address4);
	check_listed(d, m.h.address6);
}
