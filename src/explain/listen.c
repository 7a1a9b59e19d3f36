#include "explain/listen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/macro.h"
#include "base/file.h"

#define TCP_LISTEN 10 /* the kernel's state numbers */
#define UDP_UNCONNECTED 7

/* Addresses are printed as the machine's own 32-bit numbers. */
static bool hex_address(const char *s, int family, struct ip *out)
{
	unsigned words = family == AF_INET ? 1 : 4;
	*out = (struct ip){.family = family};
	for (unsigned i = 0; i < words; i++) {
		char word[9] = "";
		memcpy(word, s + 8 * i, 8);
		uint32_t v = (uint32_t)strtoul(word, NULL, 16);
		memcpy(out->bytes + 4 * i, &v, sizeof(v));
	}
	return true;
}

bool listen_parse(const char *line, int family, enum proto proto, struct ip *ip, uint16_t *port)
{
	char local[40], remote[40];
	unsigned state, lport, rport;
	size_t len = family == AF_INET ? 8 : 32;
	if (sscanf(line, " %*u: %32[0-9A-Fa-f]:%x %32[0-9A-Fa-f]:%x %x", local, &lport, remote,
		   &rport, &state) != 5 ||
	    strlen(local) != len || lport > 65535)
		return false;
	if (state != (proto == PROTO_TCP ? TCP_LISTEN : UDP_UNCONNECTED))
		return false;
	*port = (uint16_t)lport;
	return hex_address(local, family, ip);
}

static bool is_any(const struct ip *ip)
{
	return ip_eq(ip, &(struct ip){.family = ip->family});
}

/* Looks through one file. A socket at :: takes what comes over IPv4 as well, unless it was told not
 * to, which nobody can see from here. */
static int look(const char *path, int family, const struct ip *want, enum proto proto,
		uint16_t port, bool *local)
{
	autofree char *text = NULL;
	size_t len;
	int rc = file_read(path, &text, &len);
	if (rc < 0)
		return rc == -ENOENT ? 0 : rc;
	char *rest = text;
	for (char *line; (line = strsep(&rest, "\n"));) {
		struct ip ip;
		uint16_t at;
		if (!listen_parse(line, family, proto, &ip, &at) || at != port)
			continue;
		if (is_any(&ip) || !want->family || ip_eq(&ip, want))
			return 1;
		*local = true;
	}
	return 0;
}

int listens(pid_t pid, const struct ip *ip, enum proto proto, uint16_t port, bool *local)
{
	static const int families[] = {AF_INET, AF_INET6};
	*local = false;
	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		char path[64], who[16] = "self";
		if (ip->family == AF_INET6 && families[i] == AF_INET)
			continue;
		if (pid)
			snprintf(who, sizeof(who), "%d", (int)pid);
		snprintf(path, sizeof(path), "/proc/%s/net/%s%s", who,
			 proto == PROTO_TCP ? "tcp" : "udp", i ? "6" : "");
		int rc = look(path, families[i], ip, proto, port, local);
		if (rc)
			return rc;
	}
	return 0;
}
