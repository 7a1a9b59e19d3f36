/* What the generator (mkseccomp.c) and the loader (seccomp.c) agree on. One program serves all
 * permissions: where one decides, the program holds a mark instead of a verdict, an errno above all
 * real ones, and the loader replaces it. Private to sys. */
#ifndef NG_SYS_FILTER_H
#define NG_SYS_FILTER_H

#include <linux/filter.h>

#define FILTER_BITS 6     /* permissions, the bits of enum seccomp_allow */
#define FILTER_MARK 0x400 /* FILTER_MARK + bit * FILTER_STEP + errno where it is not given */
#define FILTER_STEP 0x80  /* more than any errno used here */

extern const struct sock_filter seccomp_program[];
extern const unsigned seccomp_program_len;

#endif
