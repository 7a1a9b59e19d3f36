/* What on this host keeps jails from working, or may; and what, on it or around it, keeps the mail host
 * of `newgate host` from it. Every check is one function in doctor.c's table; it looks, and changes
 * nothing. */
#ifndef NG_DOCTOR_DOCTOR_H
#define NG_DOCTOR_DOCTOR_H

#include "base/str.h"
#include "conf/rcconf.h"
#include "run/gather.h"

enum doctor_level {
	DOCTOR_HINDERS, /* something that is configured does not work */
	DOCTOR_ADVICE,  /* it will not, some day, or something else suffers */
};
const char *doctor_level_text(enum doctor_level l); /* "hinders", "advice" */

struct finding {
	const char *check; /* "forwarding" */
	enum doctor_level level;
	char *what, *why; /* a sentence each, without its full stop; owned */
	struct strv fix;  /* what to type, a line each; one that begins with # is for a reader */
};

struct doctor {
	const char *root;       /* the -R prefix, "" for the real one */
	const char *proc;       /* "/proc" */
	const char *executable; /* newgate itself, absolute */
	const struct rcconf *rc;
	struct gather *gather;
	unsigned faults;   /* of the configuration, which gather then knows nothing of */
	const char *probe; /* the domain whose mail servers are tried */
	/* What was found. */
	struct finding *finding;
	size_t n;
};
/* Those checks that look at nothing but the host; or the one of that name; or of "mail", those that
 * ask others, too. -ENOENT: there is no such. The caller fills in what is to be looked at. */
int doctor_examine(struct doctor *d, const char *check) MUST_CHECK;
void doctor_done(struct doctor *d); /* the findings */

#define DOCTOR_MAIL "mail"
/* The names of the checks with what each is about; NULL behind the last. */
const char *doctor_check_name(size_t i);
bool doctor_check_among(size_t i, const char *check); /* is it made for that name? */
const char *doctor_check_about(size_t i);

#endif
