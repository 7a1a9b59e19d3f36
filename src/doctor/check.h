/* What the checks are made of. Private to doctor. */
#ifndef NG_DOCTOR_CHECK_H
#define NG_DOCTOR_CHECK_H

#include "doctor/doctor.h"
#include "sys/rtnl.h"

/* A finding of the check that runs: its first sentence; then why it matters, and what mends it. The
 * pointer is good until the next one. */
struct finding *found(struct doctor *d, enum doctor_level level, const char *fmt, ...) PRINTF(3, 4);
void because(struct finding *f, const char *fmt, ...) PRINTF(2, 3);
void mend(struct finding *f, const char *fmt, ...) PRINTF(2, 3);
/* The check itself could not be made. */
struct finding *not_examined(struct doctor *d, const struct ng_err *err);

/* The value of a file below d->proc ("sys/net/ipv4/ip_forward"), without its newline: false where
 * there is no such file. */
bool proc_read(const struct doctor *d, const char *path, char *buf, size_t size);
bool proc_number(const struct doctor *d, const char *path, uint64_t *out);

/* Has some jail (configured or running) an address of that family? */
bool has_family(const struct doctor *d, int family);

/* The checks, a file each group. */
typedef void check_fn(struct doctor *d);
/* configuration.c */
check_fn check_configuration;
/* boot.c */
check_fn check_boot;
/* kernel.c */
check_fn check_kernel, check_namespaces, check_cgroups, check_clock;
/* files.c */
check_fn check_idmap, check_disk, check_leftovers;
/* tools.c */
check_fn check_tools, check_path;
/* network.c */
check_fn check_forwarding, check_reverse_path, check_mtu, check_neighbours, check_resolver;
/* ranges.c */
check_fn check_ranges;
/* ports.c */
check_fn check_ports;
/* filter.c */
check_fn check_filter, check_flush;
/* mail.c */
check_fn check_mail_address, check_mail_dns, check_mail_certificate, check_mail_postmaster;
/* mail_reach.c */
check_fn check_mail_out, check_mail_listed;

/* Parts of checks that are pure, for tests. */
enum clock_state { CLOCK_FINE, CLOCK_UNSYNCHRONISED, CLOCK_WRONG };
enum clock_state clock_judge(bool synchronised, int64_t now);
/* "6.1.0-13-amd64" is at least major.minor. */
bool release_at_least(const char *release, unsigned major, unsigned minor);
/* What the last of these sysctl.conf(5) lines sets `key` to; NULL: none does. `text` is changed. */
const char *sysctl_value(char *text, const char *key);
/* What an answer of a list of spam sources says: 127.0.0.x is why it is there, 127.255.255.x that the
 * list did not look. NULL: neither. */
const char *listed_as(const char *answer, bool *looked);

#endif
