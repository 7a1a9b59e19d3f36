/* What the parts of PID 1 share: its state, and who handles what. init.c holds the theory. */
#ifndef NG_INIT_INIT_H
#define NG_INIT_INIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "init/message.h"

/* What an event is about: its kind, and a slot of the table of its kind. */
enum kind { ON_SIGNAL, ON_LISTEN, ON_CONN, ON_RUN_REPORT, ON_SERVICE_REPORT };

/* Descriptors 0 to 3 are taken from the start, so 0 stands for "none" and zeroed slots are free. */
struct conn {
	int fd;
	int report; /* of the command's start */
	pid_t pid;  /* the command that runs on its behalf */
	bool background;
};

struct service {
	struct message def; /* size 0: free slot */
	struct command cmd; /* within def */
	struct conn *asker; /* waits to hear how the first start went */
	int report;
	pid_t pid;
	int failed; /* errno of a start that failed, until its process is reaped */
	uint32_t restarts, last_status, last_lived;
	uint32_t pause;        /* seconds before the next start */
	uint64_t started, due; /* ms; due 0: not waiting */
};

/* All that changes is this one object. What an ordinary jail touches of it comes first. */
struct init {
	int epfd, sigfd;
	unsigned nconns, nservices;
	bool said; /* a starter came and went: from now on an empty jail is over */
	bool persist, stopping;
	bool deaf;          /* connections are left in the backlog for now */
	uint64_t listen_at; /* ms; when to try again, 0: when a connection ends */
	uint64_t stop_at;   /* ms */
	struct service services[CTL_SERVICES];
	struct conn conns[CTL_CONNECTIONS];
};
extern struct init me;

/* init.c */
uint64_t now_ms(void);
int watch(int fd, enum kind kind, size_t slot); /* 0, or -1 with errno */
void unwatch(int *fd);                          /* closes it, too */
/* spawn(), with the report announced as an event of (kind, slot). */
pid_t start(const struct command *c, const struct message *m, bool session, int *report,
	    enum kind kind, size_t slot) MUST_CHECK;
struct ctl_error take_report(int *report);
/* Ends all within ms from now, gently if there is time; more than one: the earliest counts. */
void stop(uint32_t ms);
bool over(void); /* nothing is left that PID 1 would be needed for */

/* conn.c. An answer that cannot be sent closes the connection: its slot is then free. */
bool accept_one(void); /* takes one from the backlog; false where there was none */
void listen_again(void);
void answer_num(struct conn *c, uint32_t type, uint32_t v);
void answer_error(struct conn *c, struct ctl_error e);
void on_conn(struct conn *c);
void run_reported(struct conn *c);
void run_ended(struct conn *c, int status);

/* service.c */
void on_service(struct conn *c, struct message *m); /* keeps *m where the service is taken */
void service_start(struct service *s);
void service_reported(struct service *s);
void service_ended(struct service *s, int status);

#endif
