/* The web and mail host of `newgate host`: its settings, its files, its lists.
 *
 *   /etc/newgate/host.conf        the settings: "key = value" lines
 *   /etc/newgate/host/JAIL/       what jail JAIL has as /etc/host, read-only: configuration made of
 *                                 share/host (files.h), lists, and tables made of the lists (lists.h)
 *   /etc/newgate/host/tls/        certificate and key; /etc/tls of those that need it
 *   /etc/jail.conf.d/host.conf    the jails, plain jail.conf, made like the other files
 *   /var/lib/newgate/host/JAIL/   what the jail may write: mail, queue, database
 *   /var/lib/newgate/host/made/   each made file as it was made: what differs from that is the user's
 */
#ifndef NG_HOST_HOST_H
#define NG_HOST_HOST_H

#include <stdint.h>
#include "base/err.h"
#include "base/str.h"

#define HOST_CONF "/etc/newgate/host.conf"
#define HOST_ETC "/etc/newgate/host"
#define HOST_DATA "/var/lib/newgate/host"
#define HOST_SITES "/etc/newgate/host/web/sites"
#define HOST_JAILS "/etc/jail.conf.d/host.conf"

struct host {
	char *root;     /* the -R prefix, "" for the real one. All strings are owned */
	char *domain;   /* example.org: the first, after which the jails are named */
	char *hostname; /* mail.example.org: what MX and PTR records name */
	char *address4; /* the public addresses that DNS names; NULL: none of that family */
	char *address6;
	char *interface; /* of the jails */
	char *quota;     /* of a mailbox: "1G" */
	char *spam;      /* "opendkim" or "rspamd" */
	char *acme;      /* the directory URL of the certificate authority; "none": ask nobody */
	char *acme_ca;   /* a file of who signed that one's own certificate; NULL: Debian knows */
	char *contact;   /* whom it writes to */
	char *ban; /* "5 10m 1h": so many failed logins within 10 minutes ban for an hour; "off" */
	char *ban_except; /* networks that are never banned; NULL: none */
};
/* -ENOENT: nothing was set up, and err says how to. */
int host_settings_read(struct host *h, const char *root, struct ng_err *err) MUST_CHECK;
int host_settings_write(const struct host *h, struct ng_err *err) MUST_CHECK;
void host_settings_done(struct host *h);

/* When an address is banned. failures 0: never. */
struct host_ban {
	uint32_t failures, within, seconds;
};
#define HOST_BAN "5 10m 1h"
#define HOST_BAN_FAILURES 20 /* the most that are counted */
/* text NULL: HOST_BAN. */
int host_ban_terms(const char *text, struct host_ban *out, struct ng_err *err) MUST_CHECK;

/* ROOT + path; the caller frees. */
char *host_path(const struct host *h, const char *fmt, ...) PRINTF(2, 3) MUST_CHECK;

/* The jails of a host, those first that others need. NULL-terminated. The first is the one that signs:
 * "dkim" or "rspamd", as `spam` says. */
const char *const *host_jails(const struct host *h);
/* Those of whatever setting: a jail may be left of another one. */
extern const char *const host_all_jails[];
/* The signing jail that the setting has no use for. */
const char *host_other_signer(const struct host *h);
/* What stands before a domain in the names by which mail programs and other mail hosts ask the web jail
 * about it. NULL-terminated. */
extern const char *const host_web_names[];

/* "example.org", in small letters; at least one dot. The caller frees; NULL with *why. */
char *host_domain(const char *text, const char **why) MUST_CHECK;
/* "alice@example.org"; with any, also "@example.org". */
char *host_address(const char *text, bool any, const char **why) MUST_CHECK;

#endif
