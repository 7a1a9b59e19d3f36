/* A scratch folder for the tests of src/store, on a real file system, and small ways to fill it. */
#ifndef NG_TESTS_STOREBOX_H
#define NG_TESTS_STOREBOX_H

#include "unit.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "netns.h"
#include "sys/path.h"

static char box[64]; /* the scratch folder */

static inline int box_make(void **arg)
{
	(void)arg;
	strcpy(box, "/var/tmp/newgate-store.XXXXXX");
	return mkdtemp(box) ? 0 : -1;
}

static inline int box_remove(void **arg)
{
	autoclose int tmp = open("/var/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)arg;
	/* Mounts of a failed test would be in the way. */
	for (char *at; path_mounted_below(box, &at) > 0; free(at))
		if (umount2(at, MNT_DETACH) < 0)
			return -1;
	return path_remove_tree(tmp, strrchr(box, '/') + 1);
}

/* The path of something in the box, in one of a few static buffers. */
PRINTF(1, 2) static inline const char *in_box(const char *fmt, ...)
{
	static char buf[8][4096];
	static unsigned turn;
	char *to = buf[turn++ % ARRAY_SIZE(buf)];
	int n = snprintf(to, sizeof(buf[0]), "%s/", box);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(to + n, sizeof(buf[0]) - (size_t)n, fmt, ap);
	va_end(ap);
	return to;
}

static inline void put_dir(const char *path)
{
	assert_int_equal(file_mkdirs(path, 0755), 0);
}

static inline void put_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static inline void assert_text(const char *path, const char *text)
{
	autofree char *got = NULL;
	size_t len;

	assert_int_equal(file_read(path, &got, &len), 0);
	assert_string_equal(got, text);
}

static inline bool exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static inline struct stat stat_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st;
}

static inline int open_box(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static inline void assert_contains(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" is not in \"%s\"", part, text);
}

/* {version 2 (little endian), permitted, inheritable}: cap_net_raw+ep as setcap(8) writes it. */
#define CAP_NET_RAW_EP \
	"\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
#define CAP_NET_RAW_EP_LEN 20

#endif
