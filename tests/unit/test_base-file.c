#include "unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/str.h"

/* Each test runs inside a folder of its own. */
static int enter(void **state)
{
	char template[] = "/tmp/newgate-unit-XXXXXX";
	if (!mkdtemp(template) || chdir(template) < 0)
		return -1;
	*state = strdup(template);
	return 0;
}

static int remove_tree(int parent, const char *name)
{
	if (unlinkat(parent, name, 0) == 0)
		return 0;
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d)
		return -1;
	for (struct dirent *e; (e = readdir(d));)
		if (!str_eq(e->d_name, ".") && !str_eq(e->d_name, ".."))
			remove_tree(fd, e->d_name);
	closedir(d);
	return unlinkat(parent, name, AT_REMOVEDIR);
}

static int leave(void **state)
{
	autofree char *folder = *state;
	return chdir("/") < 0 ? -1 : remove_tree(AT_FDCWD, folder);
}

static void check(const char *path, const char *want, size_t len)
{
	autofree char *text = NULL;
	size_t n = 0;
	assert_int_equal(file_read(path, &text, &n), 0);
	assert_int_equal(n, len);
	assert_memory_equal(text, want, len);
	assert_int_equal(text[n], '\0');
}

/* How many entries the folder has: a temporary file that stayed would be one more. */
static int entries(const char *folder)
{
	DIR *d = opendir(folder);
	assert_non_null(d);
	int n = 0;
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static void reads_back_what_was_written(void **state UNUSED)
{
	assert_int_equal(file_replace("a", "one\0two", 7, 0640), 0);
	check("a", "one\0two", 7);
	assert_int_equal(file_replace("a", "", 0, 0640), 0);
	check("a", "", 0);
	static char large[300000];
	memset(large, 'x', sizeof(large));
	assert_int_equal(file_replace("a", large, sizeof(large), 0600), 0);
	check("a", large, sizeof(large));
	assert_int_equal(entries("."), 1);
}

static void mode_is_exact(void **state UNUSED)
{
	mode_t old = umask(077);
	assert_int_equal(file_replace("a", "x", 1, 0664), 0);
	umask(old);
	struct stat st;
	assert_int_equal(stat("a", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0664);
}

static void reading_fails_by_name(void **state UNUSED)
{
	char *text = NULL;
	size_t n;
	assert_int_equal(file_read("missing", &text, &n), -ENOENT);
	assert_int_equal(file_read(".", &text, &n), -EISDIR);
	assert_int_equal(file_read("/dev/zero", &text, &n), -EFBIG);
	assert_null(text);
}

static void reads_a_pipe(void **state UNUSED)
{
	int p[2];
	assert_int_equal(pipe(p), 0);
	assert_int_equal(write(p[1], "piped", 5), 5);
	close(p[1]);
	char path[40];
	snprintf(path, sizeof(path), "/dev/fd/%d", p[0]);
	check(path, "piped", 5);
	close(p[0]);
}

static void dash_is_standard_input(void **state UNUSED)
{
	int p[2];
	assert_int_equal(pipe(p), 0);
	int saved = dup(STDIN_FILENO);
	assert_int_equal(dup2(p[0], STDIN_FILENO), STDIN_FILENO);
	assert_int_equal(write(p[1], "in", 2), 2);
	close(p[1]);
	check("-", "in", 2);
	dup2(saved, STDIN_FILENO); /* leaves nothing open where there was none before */
	close(saved);
	close(p[0]);
}

/* Whoever has the old file open keeps the old text whole: the new one is another file. */
static void replacing_leaves_the_old_file_alone(void **state UNUSED)
{
	assert_int_equal(file_replace("a", "old text", 8, 0644), 0);
	assert_int_equal(link("a", "kept"), 0);
	int fd = open("a", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(file_replace("a", "new", 3, 0644), 0);
	char buf[20];
	assert_int_equal(read(fd, buf, sizeof(buf)), 8);
	assert_memory_equal(buf, "old text", 8);
	close(fd);
	check("kept", "old text", 8);
	check("a", "new", 3);
}

/* A reader that opens the file again and again while another process replaces it sees one text or
 * the other, whole. */
static void readers_never_see_half(void **state UNUSED)
{
	static char a[70000], b[90000];
	memset(a, 'a', sizeof(a));
	memset(b, 'b', sizeof(b));
	assert_int_equal(file_replace("f", a, sizeof(a), 0644), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		for (int i = 0; i < 40; i++)
			if (file_replace("f", i % 2 ? a : b, i % 2 ? sizeof(a) : sizeof(b), 0644))
				_exit(1);
		_exit(0);
	}
	int status = 0, reads = 0;
	do {
		autofree char *text = NULL;
		size_t n = 0;
		assert_int_equal(file_read("f", &text, &n), 0);
		assert_true((n == sizeof(a) && memcmp(text, a, n) == 0) ||
			    (n == sizeof(b) && memcmp(text, b, n) == 0));
		reads++;
	} while (waitpid(pid, &status, WNOHANG) == 0);
	assert_true(reads > 0);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void failing_leaves_nothing_behind(void **state UNUSED)
{
	assert_int_equal(file_replace("missing/a", "x", 1, 0644), -ENOENT);
	assert_int_equal(mkdir("folder", 0755), 0);
	assert_int_equal(file_replace("folder", "x", 1, 0644), -EISDIR);
	assert_int_equal(entries("."), 1);
	assert_int_equal(entries("folder"), 0);
}

/* A full disk: the old text stays and the half-written temporary file goes. */
static void full_disk_keeps_the_old_text(void **state UNUSED)
{
	assert_int_equal(mkdir("small", 0755), 0);
	if (mount("none", "small", "tmpfs", 0, "size=8k") < 0) {
		print_message("mounting a tmpfs: %s\n", strerror(errno));
		skip();
	}
	static char large[100000];
	int first = file_replace("small/a", "old", 3, 0644);
	int second = file_replace("small/a", large, sizeof(large), 0644);
	int left = entries("small");
	autofree char *text = NULL;
	size_t n = 0;
	int r = file_read("small/a", &text, &n);
	umount("small");
	assert_int_equal(first, 0);
	assert_int_equal(second, -ENOSPC);
	assert_int_equal(left, 1);
	assert_int_equal(r, 0);
	assert_string_equal(text, "old");
}

static void a_link_is_replaced_not_followed(void **state UNUSED)
{
	assert_int_equal(file_replace("target", "precious", 8, 0644), 0);
	assert_int_equal(symlink("target", "link"), 0);
	assert_int_equal(file_replace("link", "x", 1, 0644), 0);
	check("target", "precious", 8);
	check("link", "x", 1);
}

static void folders(void **state UNUSED)
{
	struct stat st;
	mode_t old = umask(0);
	assert_int_equal(file_mkdirs("a/b//c/", 0750), 0);
	umask(old);
	assert_int_equal(stat("a/b/c", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0750);
	assert_int_equal(file_mkdirs("a/b/c", 0750), 0);
	assert_int_equal(file_mkdirs("/", 0755), 0);
	assert_int_equal(file_mkdirs("/proc/self", 0755), 0); /* there, though none can be made */
	assert_int_equal(symlink("a", "way"), 0);
	assert_int_equal(file_mkdirs("way/d", 0755), 0);
	assert_int_equal(stat("a/d", &st), 0);

	assert_int_equal(file_replace("file", "", 0, 0644), 0);
	assert_int_equal(file_mkdirs("file", 0755), -ENOTDIR);
	assert_int_equal(file_mkdirs("file/x", 0755), -ENOTDIR);
	assert_int_equal(file_mkdirs("", 0755), -ENOENT);
}

#define IN_FOLDER(fn) cmocka_unit_test_setup_teardown(fn, enter, leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    IN_FOLDER(reads_back_what_was_written),
	    IN_FOLDER(mode_is_exact),
	    IN_FOLDER(reading_fails_by_name),
	    IN_FOLDER(reads_a_pipe),
	    IN_FOLDER(dash_is_standard_input),
	    IN_FOLDER(replacing_leaves_the_old_file_alone),
	    IN_FOLDER(readers_never_see_half),
	    IN_FOLDER(failing_leaves_nothing_behind),
	    IN_FOLDER(full_disk_keeps_the_old_text),
	    IN_FOLDER(a_link_is_replaced_not_followed),
	    IN_FOLDER(folders),
	};
	return cmocka_run_group_tests_name("base/file", tests, NULL, NULL);
}
