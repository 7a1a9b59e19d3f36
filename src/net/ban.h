/* Addresses that may not reach the jails for a time, such as those that failed to log in too often.
 *
 * ROOT/var/lib/newgate/bans is what holds, one a line: "ADDRESS SINCE UNTIL TIMES FAILURES WHY", the
 * times in seconds since 1970. The sets ban4 and ban6 of rules.nft are made of it, whenever it changes
 * and whenever the table is loaded; the kernel itself forgets an element when its time is over. A line
 * stays for BAN_MEMORY behind the end of its ban, so that who comes back is banned for longer. */
#ifndef NG_NET_BAN_H
#define NG_NET_BAN_H

#include "net/net.h"

#define BAN_MAX 4096                /* lines; beyond, the bans that end first give way */
#define BAN_LONGEST (7 * 24 * 3600) /* that a repeated ban grows to, in seconds */
#define BAN_MEMORY BAN_LONGEST
#define BAN_FOREVER (10 * 365 * 24 * 3600) /* the longest that somebody may ask for */

struct ban {
	struct ipnet net; /* one address of IPv4, 64 bits of IPv6 */
	int64_t since, until;
	unsigned times;    /* that it was banned so far */
	unsigned failures; /* that led to it */
	char why[32];      /* "imap" */
};
struct bans {
	struct ban *v;
	size_t n;
	char *path;
	int lock;
};
#define BANS_NONE ((struct bans){.lock = -1})
/* Reads them; nobody else changes them until bans_done. What makes no sense is passed over. */
int bans_open(struct bans *b, struct state *s, struct ng_err *err) MUST_CHECK;
void bans_done(struct bans *b);

/* What is banned with an address; and as it is shown: a single address without a length. */
struct ipnet ban_net(const struct ip *ip);
const char *ban_text(const struct ipnet *net, char buf[static IPNET_TEXT]);
/* The ban that the address is under at that time; or NULL. */
const struct ban *bans_find(const struct bans *b, const struct ip *ip, int64_t now);
size_t bans_count(const struct bans *b, int64_t now);
/* Bans from now on. longer: twice as long as the last time, where there was one. Until the next change
 * of the bans. */
const struct ban *bans_add(struct bans *b, const struct ipnet *net, int64_t now, int64_t seconds,
			   bool longer, unsigned failures, const char *why);
/* False: it is not banned. It is forgotten, too. */
bool bans_remove(struct bans *b, const struct ip *ip, int64_t now);

/* Writes them down, then has the kernel's sets hold them. Where there is no table now, it holds them
 * as soon as it is loaded. */
int bans_save(struct bans *b, struct net *n, int64_t now, struct ng_err *err) MUST_CHECK;
/* Does the kernel lack any? A sentence for faults; changes nothing. */
int bans_look(struct net *n, struct strv *faults, struct ng_err *err) MUST_CHECK;
/* As statements for nft_load. */
void bans_statements(const struct bans *b, int64_t now, struct str *out);

/* Why an address may not be banned: it is a jail's, the host's, its gateway's, one that nobody comes
 * from, or of `except` (networks, divided by blanks or commas; or NULL). 1 with `why` to go behind
 * "ADDRESS is …", 0: it may be banned. */
int ban_refused(struct net *n, const struct ipnet *net, const char *except, struct str *why,
		struct ng_err *err) MUST_CHECK;

/* The text of the file and back. For tests. */
void bans_format(const struct bans *b, struct str *out);
void bans_parse(struct bans *b, char *text);

#endif
