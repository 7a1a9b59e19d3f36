/* For tests that change the network or mounts: the whole test program moves into namespaces of its
 * own before its first test. Nothing outside can be seen or changed from there. */
#ifndef NG_TESTS_NETNS_H
#define NG_TESTS_NETNS_H

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

/* The whole program counts as skipped, in TAP. */
#define SKIP_ALL(reason)                     \
	do {                                 \
		puts("1..0 # SKIP " reason); \
		return 0;                    \
	} while (0)

#define ENTER_NAMESPACES(flags)                                              \
	do {                                                                 \
		if (geteuid() != 0)                                          \
			SKIP_ALL("needs root to make namespaces");           \
		if (unshare((flags) | CLONE_NEWNS) < 0 ||                    \
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) { \
			perror("unshare");                                   \
			return 1;                                            \
		}                                                            \
	} while (0)

/* In a child: what cmocka's assertions are in the test itself. */
#define CHECK(cond)                                                                            \
	do {                                                                                   \
		if (!(cond)) {                                                                 \
			fprintf(stderr, "%s:%d: in a child: %s\n", __FILE__, __LINE__, #cond); \
			_exit(1);                                                              \
		}                                                                              \
	} while (0)

#endif
