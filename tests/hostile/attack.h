/* Attacks on the isolation of jails, as one static program that a jail's root runs:
 *
 *     attack NAME [ARG …]
 *
 * Each ends with the first thing that it got hold of, or when it has tried all it knows. What it
 * says is for people; tests look at the exit status alone. An attack that could not even be mounted
 * is BROKEN, which is no success of the guard's: so a test that fails to attack fails. Every test
 * also lets its attack win once, where the guard is missing. */
#ifndef NG_TESTS_ATTACK_H
#define NG_TESTS_ATTACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum outcome { WON = 0, LOST = 10, BROKEN = 20 };

#define PRINTF(at) __attribute__((format(printf, at, at + 1)))
/* Says how it ended, and ends. `broken` adds errno's text. */
_Noreturn void won(const char *fmt, ...) PRINTF(1);
_Noreturn void lost(const char *fmt, ...) PRINTF(1);
_Noreturn void broken(const char *fmt, ...) PRINTF(1);

/* "ready" on standard output: the test waits for it. */
void ready(void);
long number(const char *text);
/* Reads a file; its length or -1. NUL-terminated. */
long slurp(const char *path, char *buf, size_t size);

struct attack {
	const char *name;
	int args; /* at least so many */
	void (*run)(char **argv);
};
extern const struct attack file_attacks[], mount_attacks[], process_attacks[], network_attacks[],
    amount_attacks[], control_attacks[], kernel_attacks[];

#endif
