/* Archives written block by block (POSIX.1-1988 ustar, and pax(1) headers), since no tar would make
 * most of those that are tried. */
#ifndef NG_TESTS_TARBOX_H
#define NG_TESTS_TARBOX_H

#include "storebox.h"

static int archive = -1; /* where they are written */

struct header {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], sum[8], type, link[100];
	char magic[6], version[2], uname[32], gname[32], devmajor[8], devminor[8], prefix[155],
	    pad[12];
};
_Static_assert(sizeof(struct header) == 512, "a block");

/* One entry; `text` NULL: nothing but its header. */
static inline void add(char type, const char *name, mode_t mode, unsigned uid, const char *link,
		       const char *text)
{
	struct header h = {.type = type, .magic = "ustar", .version = {'0', '0'}};
	size_t len = text ? strlen(text) : 0;
	static const char zero[512];
	unsigned sum = 0;

	memcpy(h.name, name, strnlen(name, sizeof(h.name)));
	memcpy(h.link, link ? link : "", strnlen(link ? link : "", sizeof(h.link)));
	snprintf(h.mode, sizeof(h.mode), "%07o", mode);
	snprintf(h.uid, sizeof(h.uid), "%07o", uid);
	snprintf(h.gid, sizeof(h.gid), "%07o", uid + 1);
	snprintf(h.size, sizeof(h.size), "%011o", (unsigned)len & 07777777);
	snprintf(h.mtime, sizeof(h.mtime), "%011o", 1234567890u);
	snprintf(h.devmajor, sizeof(h.devmajor), "%07o", 1u);
	snprintf(h.devminor, sizeof(h.devminor), "%07o", 3u);
	memset(h.sum, ' ', sizeof(h.sum));
	for (size_t i = 0; i < sizeof(h); i++)
		sum += ((unsigned char *)&h)[i];
	snprintf(h.sum, sizeof(h.sum), "%06o", sum);
	assert_int_equal(write(archive, &h, sizeof(h)), sizeof(h));
	assert_int_equal(write(archive, text ? text : "", len), (ssize_t)len);
	assert_int_equal(write(archive, zero, (512 - len % 512) % 512), (512 - len % 512) % 512);
}

/* A pax header for the next entry: "LENGTH KEY=VALUE\n", the length counting itself. */
static inline void add_pax(const char *key, const char *value)
{
	autodone(str_done) struct str b = {0};
	size_t len = strlen(key) + strlen(value) + 3, all = len + 1;

	while (all != len + (size_t)snprintf(NULL, 0, "%zu", all))
		all++;
	str_addf(&b, "%zu %s=%s\n", all, key, value);
	assert_int_equal(b.len, all);
	add('x', "pax", 0644, 0, NULL, b.s);
}

static inline void finish(void)
{
	static const char zero[1024];

	assert_int_equal(write(archive, zero, sizeof(zero)), sizeof(zero));
}

#endif
