/* What both sides of the floor's clone3 share. The child has a copy of it all, and of the parent's
 * wire; times are handed back by memory that both see. */
#ifndef NG_BENCH_FLOOR_H
#define NG_BENCH_FLOOR_H

#include "wire.h"

#define ID_BASE 0x40000000u
#define ADDRESS_BASE 0x0a000000u
#define GATEWAY 0x0affffffu

enum {
	USER = 1,
	NET = 2,
	VETH = 4,
	ELEMENT = 8,
	OVERLAY = 16,
	DIRS = 32,
	CGROUP = 64,
	FILTER = 128
};

enum step {
	MAKE_CGROUP,
	MAKE_DIRS,
	CLONE,
	MAP_IDS,
	MAKE_VETH,
	ADD_ROUTE,
	ADD_ELEMENT,
	IN_USER,
	IN_ROOT,
	IN_PROC,
	IN_SYS,
	IN_DEV,
	IN_PIVOT,
	IN_NET,
	IN_LIMITS,
	EXEC,
	RUN,
	DELETE_ELEMENT,
	REMOVE_CGROUP,
	REMOVE_DIRS,
	TOTAL,
	STEPS
};

extern unsigned parts;
extern const char *root, *state, *command;
extern struct wire wire;
extern double *child_time; /* in µs, of each step up to IN_LIMITS; EXEC: when it began */

double now(void); /* µs */
/* The child's life up to its exec, after which its end of `sock` is closed. What fails is sent
 * there as a struct failure. number: of the jail in this run; index: of the jail on this machine.
 */
struct failure {
	int error;
	char what[60];
};
_Noreturn void inside(int number, int index, int sock);

#endif
