/* The smallest root: one static program under three hundred names. */
#include <elf.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include "store/tools.h"
#include "sys/fd.h"
#include "sys/path.h"

struct file {
	const char *path;
	mode_t mode;
	const char *text;
};

/* A service script for a program that stays in the foreground. */
#define DAEMON(program, name, args)                                                 \
	"#!/bin/sh\n"                                                               \
	"pid=/run/" name ".pid\n"                                                   \
	"case $1 in\n"                                                              \
	"start) start-stop-daemon -S -b -m -p $pid -x " program " -- " args " ;;\n" \
	"stop) start-stop-daemon -K -q -p $pid ;;\n"                                \
	"*) echo \"usage: $0 start|stop\" >&2; exit 64 ;;\n"                        \
	"esac\n"

static const struct file files[] = {
    {"etc/passwd", 0644,
     "root:x:0:0:root:/root:/bin/sh\n"
     "daemon:x:1:1:daemon:/:/bin/false\n"
     "www:x:80:80:web server:/var/www:/bin/false\n"
     "nobody:x:65534:65534:nobody:/:/bin/false\n"},
    {"etc/group", 0644, "root:x:0:\ndaemon:x:1:\ntty:x:5:\nwww:x:80:\nnogroup:x:65534:\n"},
    {"etc/shadow", 0600, "root:*:::::::\ndaemon:*:::::::\nwww:*:::::::\nnobody:*:::::::\n"},
    {"etc/shells", 0644, "/bin/sh\n/bin/ash\n"},
    {"etc/profile", 0644,
     "export PATH=/sbin:/usr/sbin:/bin:/usr/bin\n"
     "PS1='\\h:\\w \\$ '\n"
     "umask 022\n"},
    {"etc/nsswitch.conf", 0644, "hosts: files dns\n"},
    /* What a FreeBSD base starts by default: a jail of it stays, though it is not persist. */
    {"etc/rc.conf", 0644, "syslogd_enable=\"YES\"\ncron_enable=\"YES\"\n"},
    {"etc/rc.d/syslogd", 0755, DAEMON("/sbin/syslogd", "syslogd", "-n")},
    {"etc/rc.d/cron", 0755, "# REQUIRE: syslogd\n" DAEMON("/usr/sbin/crond", "crond", "-f")},
};

static const struct {
	const char *path;
	mode_t mode;
} dirs[] = {
    {"bin", 0755},
    {"sbin", 0755},
    {"usr/bin", 0755},
    {"usr/sbin", 0755},
    {"etc/rc.d", 0755},
    {"root", 0700},
    {"home", 0755},
    {"var/log", 0755},
    {"var/tmp", 01777},
    {"var/www", 0755},
    {"var/spool/cron/crontabs", 0755},
    {"mnt", 0755},
};

/* A program with an interpreter needs libraries that the new root has not. */
static bool is_static(int fd)
{
	Elf64_Ehdr head;
	Elf64_Phdr part;

	if (pread(fd, &head, sizeof(head), 0) != sizeof(head) ||
	    memcmp(head.e_ident, ELFMAG, SELFMAG) != 0)
		return false;
	/* 32-bit machines have another layout; there the package's name has to be trusted. */
	if (head.e_ident[EI_CLASS] != ELFCLASS64)
		return true;
	for (unsigned i = 0; i < head.e_phnum; i++) {
		off_t at = (off_t)(head.e_phoff + (Elf64_Off)i * head.e_phentsize);
		if (pread(fd, &part, sizeof(part), at) != sizeof(part))
			return false;
		if (part.p_type == PT_INTERP)
			return false;
	}
	return true;
}

int busybox_find(const char **path, struct ng_err *err)
{
	static const char *const places[] = {"/bin/busybox", "/usr/bin/busybox",
					     "/bin/busybox.static", "/usr/bin/busybox.static"};
	bool seen = false;

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		autoclose int fd = open(places[i], O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		seen = true;
		*path = places[i];
		if (is_static(fd))
			return take_fd(&fd);
	}
	if (seen)
		return err_set(err, ENOENT,
			       "%s is not linked statically: apt install busybox-static", *path);
	return err_set(err, ENOENT, "busybox is missing: apt install busybox-static");
}

static int copy_program(int from, int tree)
{
	autoclose int to = path_open(tree, "bin/busybox", O_WRONLY | O_CREAT | O_EXCL, 0755);
	struct stat st;

	if (to < 0)
		return to;
	if (fstat(from, &st) < 0)
		return -errno;
	for (off_t left = st.st_size; left > 0;) {
		ssize_t n = copy_file_range(from, NULL, to, NULL, (size_t)left, 0);
		char buf[65536];
		if (n < 0 && (errno == EXDEV || errno == EINVAL || errno == EOPNOTSUPP)) {
			n = read(from, buf, sizeof(buf));
			int rc = n > 0 ? fd_write_all(to, buf, (size_t)n) : 0;
			if (rc < 0)
				return rc;
		}
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		left -= n;
	}
	return fchmod(to, 0755) < 0 ? -errno : 0;
}

/* `list` has one "usr/bin/wc" a line. */
static int make_links(int tree, char *list, struct ng_err *err)
{
	for (char *name; (name = strsep(&list, "\n"));) {
		char *base = strrchr(name, '/');
		if (!base || base[1] == '\0' || strstr(name, "..") || str_suffix(name, "/busybox"))
			continue;
		*base++ = '\0';
		autoclose int dir = path_open_dirs(tree, name, 0755);
		if (dir < 0)
			return err_sys(err, dir, "/%s", name);
		if (symlinkat("/bin/busybox", dir, base) < 0 && errno != EEXIST)
			return err_sys(err, errno, "/%s/%s", name, base);
	}
	return 0;
}

int make_busybox(int tree, struct ng_err *err)
{
	autodone(str_done) struct str list = {0};
	const char *path = NULL;
	autoclose int program = busybox_find(&path, err);

	if (program < 0)
		return program;
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		autoclose int dir = path_open_dirs(tree, dirs[i].path, 0755);
		if (dir < 0 || fchmod(dir, dirs[i].mode) < 0)
			return err_sys(err, dir < 0 ? dir : errno, "/%s", dirs[i].path);
	}
	int rc = copy_program(program, tree);
	if (rc < 0)
		return err_sys(err, rc, "copying %s", path);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		rc = path_replace(tree, files[i].path, files[i].text, strlen(files[i].text),
				  files[i].mode);
		if (rc < 0)
			return err_sys(err, rc, "/%s", files[i].path);
	}
	const char *const argv[] = {path, "--list-full", NULL};
	rc = tools_run(NULL, argv, "busybox-static", &list, err);
	return rc < 0 ? rc : make_links(tree, list.s, err);
}
