/* The two files that every jail shares: who is who, and whom to ask. */
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include "base/file.h"
#include "base/mem.h"
#include "net/net.h"
#include "sys/fd.h"

/* Every jail has the files themselves, and who can read a file can lock it: so they are not what
 * is locked while they are rewritten. */
#define LOCK "names.lock"

/* Bind mounts hold the file itself, so it is rewritten where it is, and only where it differs. The
 * new text goes over the old before the rest is cut off: a reader never finds it empty. */
static int rewrite(struct state *s, const char *name, const struct str *text, struct ng_err *err)
{
	struct stat st;
	autoclose int lock = openat(s->dir, LOCK, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (lock < 0 || flock(lock, LOCK_EX) < 0)
		return err_sys(err, errno, "/run/newgate/" LOCK);
	autoclose int fd = openat(s->dir, name, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, errno, "/run/newgate/%s", name);
	if ((size_t)st.st_size == text->len) {
		autofree char *old = mem_alloc(text->len + 1);
		if (pread(fd, old, text->len, 0) == (ssize_t)text->len &&
		    memcmp(old, str_text(text), text->len) == 0)
			return 0;
	}
	int rc = fd_write_all(fd, str_text(text), text->len);
	if (rc == 0 && ftruncate(fd, (off_t)text->len) < 0)
		rc = -errno;
	return rc < 0 ? err_sys(err, rc, "/run/newgate/%s", name) : 0;
}

/* --- hosts --- */

/* A name that would be something else in /etc/hosts is left out. */
static bool is_name(const char *s)
{
	if (!s || !*s)
		return false;
	for (; *s; s++)
		if ((unsigned char)*s <= ' ' || *s == '#' || *s == 0x7f)
			return false;
	return true;
}

int net_write_hosts(struct state *s, const struct net_name *v, size_t n, struct ng_err *err)
{
	struct str text = {0};
	str_add(&text, "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < v[i].nips; k++) {
			char ip[IP_TEXT];
			bool hostname = is_name(v[i].hostname), name = is_name(v[i].name);
			if (hostname && name && str_eq(v[i].hostname, v[i].name))
				hostname = false;
			if (hostname || name)
				str_addf(&text, "%s\t%s%s%s\n", ip_text(&v[i].ip[k], ip),
					 hostname ? v[i].hostname : "", hostname && name ? " " : "",
					 name ? v[i].name : "");
		}
	int rc = rewrite(s, NET_HOSTS, &text, err);
	str_done(&text);
	return rc;
}

/* --- resolv.conf --- */

/* Where a host whose own resolv.conf names a stub on its loopback keeps the true servers: written
 * by systemd-resolved, NetworkManager, resolvconf with dnsmasq, resolvconf. */
static const char *const places[] = {
    "/etc/resolv.conf",
    "/run/systemd/resolve/resolv.conf",
    "/run/NetworkManager/resolv.conf",
    "/run/dnsmasq/resolv.conf",
    "/run/resolvconf/resolv.conf",
};

/* A server that can be asked from elsewhere: no loopback, and no link-local address of IPv6, which
 * means something on the host's own link alone. */
static bool reachable(const char *server)
{
	struct ip ip;
	autofree char *text = mem_strdup(server);
	text[strcspn(text, "%")] = '\0';
	if (ip_parse(text, &ip) < 0 || ip_is_loopback(&ip))
		return false;
	return ip.family == AF_INET ? ip.bytes[0] != 0
				    : !(ip.bytes[0] == 0xfe && (ip.bytes[1] & 0xc0) == 0x80);
}

/* Adds the lines of one resolv.conf that hold in a jail; how many servers are among them. */
static unsigned read_servers(char *conf, struct str *out)
{
	unsigned servers = 0;
	for (char *line; (line = strsep(&conf, "\n"));) {
		struct strv words = {0};
		strv_split(&words, line, " \t\r");
		if (words.n > 1 && str_eq(words.v[0], "nameserver")) {
			if (reachable(words.v[1])) {
				str_addf(out, "nameserver %s\n", words.v[1]);
				servers++;
			}
		} else if (words.n > 1 &&
			   (str_eq(words.v[0], "search") || str_eq(words.v[0], "domain") ||
			    str_eq(words.v[0], "options"))) {
			for (size_t i = 0; i < words.n; i++)
				str_addf(out, "%s%s", i ? " " : "", words.v[i]);
			str_addc(out, '\n');
		}
		strv_done(&words);
	}
	return servers;
}

/* A file of the host's: below the -R prefix where it has one, else the real one. */
static int read_place(const struct state *s, const char *place, char **text)
{
	struct str path = {0};
	size_t len;
	str_addf(&path, "%s%s", s->root, place);
	int rc = file_read(path.s, text, &len);
	if (rc == -ENOENT && *s->root)
		rc = file_read(place, text, &len);
	str_done(&path);
	return rc;
}

/* The first place that names a server which a jail can ask. How many it names. */
static unsigned find_servers(struct state *s, struct str *text)
{
	unsigned servers = 0;
	for (size_t i = 0; i < ARRAY_SIZE(places) && !servers; i++) {
		autofree char *conf = NULL;
		int rc = read_place(s, places[i], &conf);
		if (rc < 0)
			continue;
		str_done(text);
		servers = read_servers(conf, text);
	}
	return servers;
}

void net_servers(struct state *s, struct strv *out)
{
	struct str text = {0};
	struct strv lines = {0};
	find_servers(s, &text);
	strv_split(&lines, str_text(&text), "\n");
	for (size_t i = 0; i < lines.n; i++)
		if (str_prefix(lines.v[i], "nameserver "))
			strv_add(out, lines.v[i] + strlen("nameserver "));
	strv_done(&lines);
	str_done(&text);
}

int net_write_resolv(struct state *s, struct ng_err *err)
{
	struct str text = {0};
	unsigned servers = find_servers(s, &text);

	if (!servers) {
		str_done(&text);
		str_add(&text,
			"# The host's own resolv.conf names no server that a jail could ask.\n");
	}
	int rc = rewrite(s, NET_RESOLV, &text, err);
	str_done(&text);
	if (rc < 0 || servers)
		return rc;
	err_set(err, ENOENT,
		"jails have no name server: /etc/resolv.conf of the host names only itself, and no "
		"service says whom it asks; write \"nameserver ADDRESS\" into "
		"/run/systemd/resolve/resolv.conf or /etc/resolv.conf");
	return 1;
}
