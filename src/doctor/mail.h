/* What the checks of the mail host share. Private to doctor. */
#ifndef NG_DOCTOR_MAIL_H
#define NG_DOCTOR_MAIL_H

#include "doctor/check.h"
#include "host/lists.h"

/* The mail host's settings and lists; false where none is set up, or they cannot be read, which is
 * check_mail_address's to tell. */
struct mail_host {
	struct host h;
	struct host_lists l;
};
bool mail_host_read(const struct doctor *d, struct mail_host *m, struct ng_err *err);
void mail_host_done(struct mail_host *m);
/* The address with which the host itself reaches the internet, as the kernel chooses it; nothing is
 * sent. False where it has no way there. */
bool mail_source(int family, struct ip *out);

#endif
