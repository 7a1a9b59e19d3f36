#include "sys/seccomp.h"

#include <string.h>
#include "base/mem.h"
#include "sys/filter.h"
#include "sys/missing.h"

_Static_assert(SC_ALL == (1 << FILTER_BITS) - 1, "each permission has its mark");

/* The verdict that a mark stands for. */
static uint32_t verdict(uint32_t mark, unsigned allow)
{
	uint32_t bit = (mark - FILTER_MARK) / FILTER_STEP,
		 code = (mark - FILTER_MARK) % FILTER_STEP;
	return allow >> bit & 1 ? SECCOMP_RET_ALLOW : SECCOMP_RET_ERRNO | code;
}

int seccomp_load(unsigned allow)
{
	size_t n = seccomp_program_len;
	autofree struct sock_filter *filter = mem_alloc(n * sizeof *filter);
	memcpy(filter, seccomp_program, n * sizeof *filter);
	for (size_t i = 0; i < n; i++) {
		struct sock_filter *f = &filter[i];
		if (f->code == (BPF_RET | BPF_K) &&
		    (f->k & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO &&
		    (f->k & SECCOMP_RET_DATA) >= FILTER_MARK)
			f->k = verdict(f->k & SECCOMP_RET_DATA, allow);
	}
	struct sock_fprog prog = {.len = (unsigned short)n, .filter = filter};
	return missing_seccomp(SECCOMP_SET_MODE_FILTER, 0, &prog) < 0 ? -errno : 0;
}
