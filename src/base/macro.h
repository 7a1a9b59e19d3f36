/* Small macros that every file may use, above all ownership by scope. */
#ifndef NG_BASE_MACRO_H
#define NG_BASE_MACRO_H

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define MUST_CHECK __attribute__((warn_unused_result))
#define NORETURN __attribute__((noreturn))
#define UNUSED __attribute__((unused))

static inline void macro_free(void *p)
{
	free(*(void **)p);
}

static inline void macro_close(const int *fd)
{
	if (*fd >= 0) {
		int saved = errno;
		close(*fd);
		errno = saved;
	}
}

/* `autofree char *s = NULL;` frees s, `autoclose int fd = -1;` closes fd when the scope ends.
 * Holding something for the length of a scope is a use, whatever clang thinks. */
#define autofree __attribute__((cleanup(macro_free), unused))
#define autoclose __attribute__((cleanup(macro_close), unused))
/* `autodone(fn)`: calls fn(&variable) when the scope ends. */
#define autodone(fn) __attribute__((cleanup(fn), unused))

/* Hands an owned descriptor or pointer on; the variable it came from owns nothing afterwards. */
static inline int take_fd(int *fd)
{
	int v = *fd;
	*fd = -1;
	return v;
}
#define take_ptr(p)                         \
	__extension__({                     \
		__typeof__(p) taken_ = (p); \
		(p) = NULL;                 \
		taken_;                     \
	})

#endif
