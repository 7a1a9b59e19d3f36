/* newgate-init in a PID, mount and user namespace of its own, driven over its socket. Whatever does
 * not come within ten seconds fails the test. */
#ifndef NG_TESTS_INITBOX_H
#define NG_TESTS_INITBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/ctl.h"

struct box {
	pid_t pid; /* of init */
	int pidfd;
	int log; /* what init writes to its standard error */
	char dir[40], path[48];
};
void box_start(struct box *b);
/* Waits for init's end and clears up; returns its wait status. */
int box_end(struct box *b);
/* Ends it by force if it still runs. */
void box_destroy(struct box *b);
int box_connect(const struct box *b);

struct reply {
	struct ctl_head head;
	union {
		struct ctl_error error;
		uint32_t num;
		struct ctl_status status;
		char bytes[8192];
	} body;
};
void box_send(int fd, const void *data, size_t len, const int *fds, unsigned nfds);
/* The next packet; false at the end of the connection. */
bool box_recv(int fd, struct reply *r);
void box_send_num(int fd, uint32_t type, uint32_t v);
/* Fails the test unless the next answer is of that type. */
struct reply box_expect(int fd, uint32_t type);
uint32_t box_expect_num(int fd, uint32_t type);
void box_expect_error(int fd, enum ctl_step step, int code);

/* A message of CTL_RUN or CTL_SERVICE: `sh` runs under /bin/sh -c. */
struct order {
	uint32_t type, flags;
	uint32_t uid, gid, groups[4], ngroups;
	const char *cwd, *tag;
	const char *argv[5], *env[3];
	int in, out; /* 0: /dev/null */
};
size_t order_pack(const struct order *o, char *buf, size_t size);
void order_send(int fd, const struct order *o);

void make_pipe(int p[2]);
void fd_close(int *fd);
/* A line without its newline; "" at the end of the file. */
void read_line(int fd, char *buf, size_t size);
int64_t now_ms(void);

/* One box for each test, by cmocka's set-up and tear-down. */
extern struct box box;
int box_up(void **state);
int box_down(void **state);
#define IN_BOX(f) cmocka_unit_test_setup_teardown(f, box_up, box_down)

#define SH(text) .argv = {"sh", "-c", text}, .env = {"PATH=/usr/bin:/bin"}
int status_of(int fd, const struct order *o);  /* runs it to its end */
uint32_t start(int fd, const struct order *o); /* its pid inside */
struct reply query(int fd);
void ends_well(void); /* waits for the box's end, which must be an exit with 0 */

#endif
