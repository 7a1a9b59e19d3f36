#include "storebox.h"

#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/wait.h>
#include "store/copy.h"
#include "store/store.h"
#include "sys/caps.h"
#include "sys/mount.h"
#include "sys/ns.h"

static struct store store;
static struct ng_err err;

/* A small root with an rc of its own, as `newgate template create --from DIR` takes it. */
static void make_root(const char *at)
{
	static const char *const dirs[] = {"bin", "etc/ssh", "dev", "var/lib/dbus", "tmp"};

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		autofree char *dir = NULL;
		assert_true(asprintf(&dir, "%s/%s", at, dirs[i]) > 0);
		put_dir(dir);
	}
	static const char *const files[][2] = {
	    {"etc/rc", "own rc\n"},
	    {"etc/rc.shutdown", "own shutdown\n"},
	    {"etc/machine-id", "0123456789abcdef0123456789abcdef\n"},
	    {"etc/ssh/ssh_host_rsa_key", "secret"},
	    {"etc/ssh/ssh_host_rsa_key.pub", "public"},
	    {"etc/ssh/sshd_config", "kept"},
	    {"var/lib/dbus/machine-id", "0123456789abcdef0123456789abcdef\n"},
	    {"bin/tool", "from the template"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		autofree char *file = NULL;
		assert_true(asprintf(&file, "%s/%s", at, files[i][0]) > 0);
		put_file(file, files[i][1]);
	}
	assert_int_equal(chmod(at, 0751), 0);
}

#define OK(call)                                  \
	do {                                      \
		err = (struct ng_err){0};         \
		if ((call) < 0)                   \
			fail_msg("%s", err.text); \
	} while (0)
#define FAILS(expected, call)                         \
	do {                                          \
		err = (struct ng_err){0};             \
		assert_int_equal(call, -(expected));  \
		assert_int_equal(err.code, expected); \
	} while (0)

static int setup(void **arg)
{
	if (box_make(arg) < 0 || store_open(&store, box, &err) < 0)
		return -1;
	umask(022);
	make_root(in_box("src"));
	return 0;
}

/* In memory, where thousands of files are made in no time. */
static int setup_in_memory(void **arg)
{
	if (box_make(arg) < 0 || mount("tmpfs", box, "tmpfs", 0, "mode=755") < 0 ||
	    store_open(&store, box, &err) < 0)
		return -1;
	umask(022);
	make_root(in_box("src"));
	return 0;
}

static int teardown(void **arg)
{
	store_done(&store);
	return box_remove(arg);
}

static void make_base(void)
{
	OK(store_template_create(&store, "_base", in_box("src"), &err));
}

static void assert_nothing_partial(void)
{
	static const char *const kinds[] = {"jails", "templates"};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		autodone(strv_done) struct strv names = {0};
		autoclose int dir = open(in_box("var/lib/newgate/%s/.partial", kinds[i]),
					 O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (dir < 0)
			continue;
		assert_int_equal(copy_names(dir, &names), 0);
		assert_int_equal(names.n, 0);
	}
}

/* Mounts a jail's root at box/root, as the engine does but for the jail's own user namespace. */
static void mount_jail(const char *jail, const char *path)
{
	autodone(store_layout_done) struct store_layout l = {0};
	autodone(str_done) struct str o = {0};

	OK(store_layout(&store, jail, path, &l, &err));
	put_dir(in_box("root"));
	if (l.path) {
		assert_int_equal(mount(l.path, in_box("root"), NULL, MS_BIND, NULL), 0);
		return;
	}
	str_addf(&o, "lowerdir=%s,upperdir=%s,workdir=%s,userxattr", l.lower[0], l.upper, l.work);
	assert_null(l.lower[1]);
	assert_int_equal(mount("overlay", in_box("root"), "overlay", 0, o.s), 0);
}

static void unmount_jail(void)
{
	assert_int_equal(umount(in_box("root")), 0);
}

static char *read_text(const char *path)
{
	char *text;
	size_t len;

	assert_int_equal(file_read(path, &text, &len), 0);
	return text;
}

static void a_template_has_no_identity(void **arg)
{
	char target[32] = {0};

	(void)arg;
	assert_int_equal(symlink("/run/resolv.conf", in_box("src/etc/resolv.conf")), 0);
	assert_int_equal(symlink("../usr/run", in_box("src/run")), 0);
	put_file(in_box("src/dev/null"), "");
	make_base();
	assert_text(in_box("var/lib/newgate/templates/_base/root/etc/machine-id"), "");
	assert_text(in_box("var/lib/newgate/templates/_base/root/etc/rc"), "own rc\n");
	assert_text(in_box("var/lib/newgate/templates/_base/root/etc/ssh/sshd_config"), "kept");
	assert_false(
	    exists(in_box("var/lib/newgate/templates/_base/root/etc/ssh/ssh_host_rsa_key")));
	assert_int_equal(
	    readlink(in_box("var/lib/newgate/templates/_base/root/var/lib/dbus/machine-id"), target,
		     sizeof(target)),
	    15);
	static const char *const regular[] = {"resolv.conf", "hosts", "hostname"};
	for (size_t i = 0; i < ARRAY_SIZE(regular); i++)
		assert_true(S_ISREG(
		    stat_of(in_box("var/lib/newgate/templates/_base/root/etc/%s", regular[i]))
			.st_mode));
	static const char *const points[] = {"proc", "sys", "dev", "run", "tmp"};
	for (size_t i = 0; i < ARRAY_SIZE(points); i++)
		assert_true(S_ISDIR(
		    stat_of(in_box("var/lib/newgate/templates/_base/root/%s", points[i])).st_mode));
	assert_false(exists(in_box("var/lib/newgate/templates/_base/root/dev/null")));
	/* The source is as it was. */
	assert_text(in_box("src/etc/ssh/ssh_host_rsa_key"), "secret");
	assert_nothing_partial();
}

static void templates_are_listed(void **arg)
{
	struct store_template *t = NULL;
	size_t n = 0;

	(void)arg;
	OK(store_templates(&store, &t, &n, &err));
	assert_int_equal(n, 0);
	make_base();
	OK(store_template_create(&store, "another", in_box("src"), &err));
	FAILS(EEXIST, store_template_create(&store, "another", in_box("src"), &err));
	FAILS(EINVAL, store_template_create(&store, "../x", in_box("src"), &err));
	FAILS(EINVAL, store_template_create(&store, ".partial", in_box("src"), &err));
	FAILS(ENOENT, store_template_create(&store, "none", in_box("no"), &err));
	OK(store_clone(&store, "_base", "web", in_box("jails/web"), NULL, &err));
	OK(store_templates(&store, &t, &n, &err));
	assert_int_equal(n, 2);
	assert_string_equal(t[0].name, "_base");
	assert_string_equal(t[0].from, in_box("src"));
	assert_int_equal(t[0].clones, 1);
	assert_true(t[0].bytes > 0);
	assert_int_equal(t[1].clones, 0);
	store_templates_free(t, n);
	assert_nothing_partial();
}

static void an_overlay_clone_is_itself(void **arg)
{
	autodone(store_layout_done) struct store_layout l = {0};

	(void)arg;
	make_base();
	/* Somebody worked in the template since. */
	put_file(in_box("var/lib/newgate/templates/_base/root/etc/ssh/ssh_host_rsa_key"), "secret");
	OK(store_clone(&store, "_base", "web", in_box("jails/web"), "web.example.org", &err));
	OK(store_clone(&store, "_base", "mail", in_box("jails/mail"), NULL, &err));
	OK(store_layout(&store, "web", in_box("jails/web/"), &l, &err));
	assert_null(l.path);
	assert_int_equal(stat_of(l.upper).st_mode & 07777, 0751);
	assert_true(S_ISDIR(stat_of(in_box("jails/web")).st_mode));
	/* Nobody but root may come near setuid programs. */
	assert_int_equal(stat_of(in_box("var/lib/newgate/jails")).st_mode & 077, 0);
	assert_int_equal(stat_of(in_box("var/lib/newgate/templates")).st_mode & 077, 0);

	mount_jail("web", in_box("jails/web"));
	assert_text(in_box("root/etc/hostname"), "web.example.org\n");
	autofree char *id = read_text(in_box("root/etc/machine-id"));
	assert_int_equal(strlen(id), 33);
	assert_int_equal(strspn(id, "0123456789abcdef"), 32);
	assert_text(in_box("root/bin/tool"), "from the template");
	assert_text(in_box("root/etc/rc"), "own rc\n");
	assert_text(in_box("root/etc/ssh/sshd_config"), "kept");
	assert_false(exists(in_box("root/etc/ssh/ssh_host_rsa_key")));
	unmount_jail();
	mount_jail("mail", in_box("jails/mail"));
	assert_text(in_box("root/etc/hostname"), "mail\n");
	autofree char *other = read_text(in_box("root/etc/machine-id"));
	assert_string_not_equal(id, other);
	unmount_jail();
	assert_text(in_box("var/lib/newgate/templates/_base/root/etc/ssh/ssh_host_rsa_key"),
		    "secret");
}

static void a_jail_is_cloned_with_its_changes(void **arg)
{
	(void)arg;
	make_base();
	OK(store_clone(&store, "_base", "web", in_box("jails/web"), NULL, &err));
	mount_jail("web", in_box("jails/web"));
	put_file(in_box("root/etc/new"), "changed");
	assert_int_equal(unlink(in_box("root/bin/tool")), 0);
	put_file(in_box("root/etc/ssh/ssh_host_ed25519_key"), "web's own");
	/* Removed and made again: what the template has in it must stay hidden. */
	assert_int_equal(unlink(in_box("root/var/lib/dbus/machine-id")), 0);
	assert_int_equal(rmdir(in_box("root/var/lib/dbus")), 0);
	put_dir(in_box("root/var/lib/dbus"));
	autofree char *id = read_text(in_box("root/etc/machine-id"));
	unmount_jail();

	OK(store_clone(&store, "web", "web2", in_box("jails/web2"), NULL, &err));
	mount_jail("web2", in_box("jails/web2"));
	assert_text(in_box("root/etc/new"), "changed");
	assert_text(in_box("root/etc/hostname"), "web2\n");
	assert_false(exists(in_box("root/bin/tool")));
	assert_false(exists(in_box("root/etc/ssh/ssh_host_ed25519_key")));
	assert_false(exists(in_box("root/var/lib/dbus/machine-id")));
	autofree char *other = read_text(in_box("root/etc/machine-id"));
	assert_string_not_equal(id, other);
	unmount_jail();

	/* It stands on the same template, which therefore stays. */
	OK(store_destroy(&store, "web", NULL, &err));
	FAILS(EBUSY, store_template_destroy(&store, "_base", &err));
	assert_contains(err.text, "web2");
	OK(store_destroy(&store, "web2", in_box("jails/web2"), &err));
	OK(store_template_destroy(&store, "_base", &err));
	assert_false(exists(in_box("var/lib/newgate/templates/_base")));
	assert_nothing_partial();
}

/* On an overlay no further overlay with mapped owners is possible. */
static void make_store_unsuited(void)
{
	put_dir(in_box("o/l"));
	put_dir(in_box("o/u"));
	put_dir(in_box("o/w"));
	put_dir(in_box("var/lib/newgate"));
	const char *opts[] = {in_box("o/l"), in_box("o/u"), in_box("o/w")};
	autodone(str_done) struct str o = {0};
	str_addf(&o, "lowerdir=%s,upperdir=%s,workdir=%s", opts[0], opts[1], opts[2]);
	assert_int_equal(mount("overlay", in_box("var/lib/newgate"), "overlay", 0, o.s), 0);
}

static void a_copy_is_made_where_no_overlay_can_be(void **arg)
{
	autodone(store_layout_done) struct store_layout l = {0};
	autodone(store_jail_done) struct store_jail j = {0};

	(void)arg;
	make_store_unsuited();
	make_base();
	OK(store_clone(&store, "_base", "web", in_box("jails/web"), NULL, &err));
	OK(store_find_jail(&store, "web", &j, &err));
	assert_string_equal(j.backend, "dir");
	assert_string_equal(j.from, "_base");
	OK(store_layout(&store, "web", in_box("jails/web"), &l, &err));
	assert_string_equal(l.path, in_box("jails/web"));
	assert_text(in_box("jails/web/bin/tool"), "from the template");
	assert_text(in_box("jails/web/etc/hostname"), "web\n");
	assert_int_equal(stat_of(in_box("jails/web")).st_mode & 07777, 0751);
	assert_false(exists(in_box("jails/.web.newgate")));

	/* Copies need their template no more. */
	OK(store_template_destroy(&store, "_base", &err));
	put_file(in_box("jails/web/etc/ssh/ssh_host_rsa_key"), "web's own");
	OK(store_clone(&store, "web", "web2", in_box("jails/web2"), NULL, &err));
	assert_text(in_box("jails/web2/etc/hostname"), "web2\n");
	assert_false(exists(in_box("jails/web2/etc/ssh/ssh_host_rsa_key")));
	OK(store_destroy(&store, "web", NULL, &err));
	assert_false(exists(in_box("jails/web")));
	assert_false(store_has_jail(&store, "web"));
	assert_true(store_has_jail(&store, "web2"));
	assert_nothing_partial();
}

static void a_file_system_that_cannot_map_owners_is_named(void **arg)
{
	(void)arg;
	make_store_unsuited();
	make_base();
	FAILS(EOPNOTSUPP,
	      store_clone(&store, "_base", "web", in_box("var/lib/newgate/roots/web"), NULL, &err));
	assert_contains(err.text, "is on overlay, which cannot map owners");
	assert_false(store_has_jail(&store, "web"));
	assert_nothing_partial();
}

static void a_plain_directory_needs_no_entry(void **arg)
{
	autodone(store_layout_done) struct store_layout l = {0};

	(void)arg;
	OK(store_layout(&store, "hand", in_box("src"), &l, &err));
	assert_string_equal(l.path, in_box("src"));
	FAILS(ENOENT,
	      store_layout(&store, "none", in_box("none"), &(struct store_layout){0}, &err));
	assert_contains(err.text, "newgate clone");
	FAILS(ENOTDIR,
	      store_layout(&store, "f", in_box("src/etc/rc"), &(struct store_layout){0}, &err));
	/* What newgate did not make, it does not remove. */
	FAILS(ENOENT, store_destroy(&store, "hand", in_box("src"), &err));
	assert_true(exists(in_box("src/etc/rc")));
	OK(store_clone_dir(&store, in_box("src"), "hand", "copy", in_box("copy"), NULL, &err));
	assert_text(in_box("copy/etc/hostname"), "copy\n");
	assert_text(in_box("copy/bin/tool"), "from the template");
	assert_text(in_box("src/etc/ssh/ssh_host_rsa_key"), "secret");
}

static void nothing_is_cloned_over(void **arg)
{
	(void)arg;
	make_base();
	put_dir(in_box("full"));
	put_file(in_box("full/file"), "precious");
	put_dir(in_box("empty"));
	assert_int_equal(symlink("empty", in_box("link")), 0);
	FAILS(EEXIST, store_clone(&store, "_base", "web", in_box("full"), NULL, &err));
	FAILS(EEXIST, store_clone(&store, "_base", "web", in_box("full/file"), NULL, &err));
	FAILS(EEXIST, store_clone(&store, "_base", "web", in_box("link"), NULL, &err));
	FAILS(EINVAL, store_clone(&store, "_base", "web", "/", NULL, &err));
	FAILS(EINVAL, store_clone(&store, "_base", "web", "relative", NULL, &err));
	FAILS(EINVAL, store_clone(&store, "_base", "a/b", in_box("x"), NULL, &err));
	FAILS(EINVAL, store_clone(&store, "_base", "web", in_box("var/lib/newgate/jails/web/root"),
				  NULL, &err));
	FAILS(ENOENT, store_clone(&store, "missing", "web", in_box("x"), NULL, &err));
	FAILS(ENOENT, store_clone(&store, "../templates/_base", "web", in_box("x"), NULL, &err));
	assert_text(in_box("full/file"), "precious");
	OK(store_clone(&store, "_base", "web", in_box("empty"), NULL, &err));
	FAILS(EEXIST, store_clone(&store, "_base", "web", in_box("x"), NULL, &err));
	OK(store_clone(&store, "_base", "mail", in_box("var/lib/newgate/roots/mail"), NULL, &err));
	assert_int_equal(stat_of(in_box("var/lib/newgate/roots")).st_mode & 077, 0);
	assert_nothing_partial();
}

/* Power was lost before the entry was on the disk. */
static void a_clone_that_was_cut_off_is_made_anew(void **arg)
{
	(void)arg;
	make_base();
	OK(store_clone(&store, "_base", "web", in_box("web"), NULL, &err));
	OK(store_sync(&store, "web", &err));
	assert_int_equal(store_clear(&store, "web", &err), 0);
	assert_true(store_has_jail(&store, "web"));
	assert_int_equal(truncate(in_box("var/lib/newgate/jails/web/origin"), 0), 0);
	assert_false(store_has_jail(&store, "web"));
	/* The tree of one that was copied may be there all the same; it is not cloned over. */
	(void)rename(in_box("web"), in_box("elsewhere"));
	OK(store_clone(&store, "_base", "web", in_box("web"), NULL, &err));
	assert_true(store_has_jail(&store, "web"));
	assert_int_equal(truncate(in_box("var/lib/newgate/jails/web/origin"), 0), 0);
	assert_int_equal(store_clear(&store, "web", &err), 1);
	assert_int_equal(store_clear(&store, "web", &err), 0);
	assert_nothing_partial();
}

static void links_lead_nowhere(void **arg)
{
	(void)arg;
	put_dir(in_box("outside"));
	put_file(in_box("outside/machine-id"), "the host's");
	put_file(in_box("outside/ssh_host_rsa_key"), "the host's");
	assert_int_equal(unlink(in_box("src/etc/machine-id")), 0);
	assert_int_equal(symlink(in_box("outside/machine-id"), in_box("src/etc/machine-id")), 0);
	assert_int_equal(symlink("../../outside/machine-id", in_box("src/etc/hostname")), 0);
	assert_int_equal(rename(in_box("src/etc/ssh"), in_box("src/ssh")), 0);
	assert_int_equal(symlink("../../../../../../../../../var/tmp", in_box("src/up")), 0);
	assert_int_equal(symlink(in_box("outside"), in_box("src/etc/ssh")), 0);
	OK(store_clone_dir(&store, in_box("src"), "hand", "web", in_box("web"), NULL, &err));
	assert_text(in_box("web/etc/hostname"), "web\n");
	assert_true(S_ISREG(stat_of(in_box("web/etc/machine-id")).st_mode));
	make_base();
	assert_text(in_box("outside/machine-id"), "the host's");
	assert_text(in_box("outside/ssh_host_rsa_key"), "the host's");

	/* An /etc that is a link could hold no files to mount over. */
	assert_int_equal(rename(in_box("src/etc"), in_box("src/etc2")), 0);
	assert_int_equal(symlink("etc2", in_box("src/etc")), 0);
	FAILS(ENOTDIR, store_template_create(&store, "linked", in_box("src"), &err));
	assert_nothing_partial();
}

static void destroy_stops_at_mounts_and_links(void **arg)
{
	(void)arg;
	make_store_unsuited();
	make_base();
	OK(store_clone(&store, "_base", "web", in_box("jails/web"), NULL, &err));
	put_dir(in_box("data"));
	put_file(in_box("data/precious"), "x");
	put_dir(in_box("jails/web/srv/data"));
	assert_int_equal(mount(in_box("data"), in_box("jails/web/srv/data"), NULL, MS_BIND, NULL),
			 0);
	FAILS(EBUSY, store_destroy(&store, "web", NULL, &err));
	assert_contains(err.text, in_box("jails/web/srv/data: umount it first"));
	assert_true(exists(in_box("jails/web/bin/tool")));
	assert_int_equal(umount(in_box("jails/web/srv/data")), 0);

	FAILS(EINVAL, store_destroy(&store, "web", in_box("elsewhere"), &err));
	assert_int_equal(symlink(in_box("data"), in_box("jails/web/srv/link")), 0);
	assert_int_equal(rename(in_box("jails/web"), in_box("jails/moved")), 0);
	assert_int_equal(symlink(in_box("jails/moved"), in_box("jails/web")), 0);
	FAILS(ELOOP, store_destroy(&store, "web", NULL, &err));
	assert_int_equal(unlink(in_box("jails/web")), 0);
	assert_int_equal(rename(in_box("jails/moved"), in_box("jails/web")), 0);
	OK(store_destroy(&store, "web", NULL, &err));
	assert_text(in_box("data/precious"), "x");
	assert_false(exists(in_box("jails/web")));
	assert_nothing_partial();
}

static void an_overlay_is_destroyed_whole(void **arg)
{
	(void)arg;
	make_base();
	OK(store_clone(&store, "_base", "web", in_box("jails/web"), NULL, &err));
	mount_jail("web", in_box("jails/web")); /* leaves work/work behind */
	unmount_jail();
	put_file(in_box("jails/web/stray"), "somebody's");
	FAILS(ENOTEMPTY, store_destroy(&store, "web", NULL, &err));
	assert_true(store_has_jail(&store, "web"));
	assert_int_equal(unlink(in_box("jails/web/stray")), 0);
	assert_int_equal(mount("tmpfs", in_box("jails/web"), "tmpfs", 0, NULL), 0);
	FAILS(EBUSY, store_destroy(&store, "web", NULL, &err));
	assert_int_equal(umount(in_box("jails/web")), 0);
	OK(store_destroy(&store, "web", NULL, &err));
	assert_false(exists(in_box("jails/web")));
	assert_false(exists(in_box("var/lib/newgate/jails/web")));
	OK(store_clone(&store, "_base", "web", in_box("jails/web"), NULL, &err));
	assert_nothing_partial();
}

static void a_full_disk_leaves_nothing(void **arg)
{
	autofree char *megabytes = mem_alloc(4 << 20);

	(void)arg;
	memset(megabytes, 'x', (4 << 20) - 1);
	put_file(in_box("src/big"), megabytes);
	put_dir(in_box("var/lib/newgate"));
	assert_int_equal(mount("tmpfs", in_box("var/lib/newgate"), "tmpfs", 0, "size=2M"), 0);
	FAILS(ENOSPC, store_template_create(&store, "_base", in_box("src"), &err));
	assert_contains(err.text, "big: No space left on device");
	assert_false(store_has_template(&store, "_base"));
	assert_nothing_partial();
}

/* Waits until `name` appears in the watched folder. */
static void await_name(int watch, const char *name)
{
	_Alignas(struct inotify_event) char buf[8192];

	for (;;) {
		struct pollfd p = {.fd = watch, .events = POLLIN};
		assert_int_equal(poll(&p, 1, 30000), 1);
		ssize_t n = read(watch, buf, sizeof(buf));
		assert_true(n > 0);
		for (char *at = buf; at < buf + n;) {
			struct inotify_event *e = (struct inotify_event *)at;
			if (e->len > 0 && str_eq(e->name, name))
				return;
			at += sizeof(*e) + e->len;
		}
	}
}

static void kill_and_reap(pid_t pid)
{
	int status;

	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
}

static void a_killed_clone_leaves_nothing_to_trip_over(void **arg)
{
	(void)arg;
	make_store_unsuited();
	/* So many files that the kill comes in the middle of them. */
	for (int i = 0; i < 20000; i++)
		put_file(in_box("src/var/%d", i), "");
	make_base();
	put_dir(in_box("jails"));
	int watch = inotify_init1(IN_CLOEXEC);
	assert_true(inotify_add_watch(watch, in_box("jails"), IN_CREATE) >= 0);
	pid_t pid = fork();
	if (pid == 0)
		_exit(store_clone(&store, "_base", "web", in_box("jails/web"), NULL, &err) < 0);
	await_name(watch, ".web.newgate");
	kill_and_reap(pid);
	close(watch);
	assert_true(exists(in_box("jails/.web.newgate")));
	assert_false(exists(in_box("jails/web")));
	assert_false(store_has_jail(&store, "web"));

	/* Whatever is cloned next, and wherever to, clears it up. */
	OK(store_clone(&store, "_base", "mail", in_box("jails/mail"), NULL, &err));
	assert_false(exists(in_box("jails/.web.newgate")));
	assert_nothing_partial();
	OK(store_clone(&store, "_base", "web", in_box("jails/web"), NULL, &err));

	/* Killed between the two renames: an entry without a tree, and the reverse of it. */
	assert_int_equal(rename(in_box("jails/web"), in_box("jails/.web.newgate")), 0);
	assert_false(store_has_jail(&store, "web"));
	OK(store_clone(&store, "_base", "web", in_box("jails/web"), NULL, &err));
	assert_text(in_box("jails/web/bin/tool"), "from the template");
	assert_false(exists(in_box("jails/.web.newgate")));
	assert_int_equal(rename(in_box("jails/web"), in_box("jails/.web.newgate")), 0);
	OK(store_destroy(&store, "web", NULL, &err));
	assert_false(exists(in_box("jails/.web.newgate")));
	assert_nothing_partial();
}

static void one_at_a_time(void **arg)
{
	(void)arg;
	make_base();
	put_dir(in_box("var/lib/newgate/jails/.partial/web"));
	autoclose int held = open_box(in_box("var/lib/newgate/jails/.partial/web"));
	assert_int_equal(flock(held, LOCK_EX), 0);
	FAILS(EBUSY, store_clone(&store, "_base", "web", in_box("jails/web"), NULL, &err));
	OK(store_clone(&store, "_base", "mail", in_box("jails/mail"), NULL, &err));
	assert_true(exists(in_box("var/lib/newgate/jails/.partial/web")));
	OK(store_destroy(&store, "mail", NULL, &err));
	autoclose int base = open_box(in_box("var/lib/newgate/templates/_base"));
	assert_int_equal(flock(base, LOCK_SH), 0); /* as while a clone is being made */
	FAILS(EBUSY, store_template_destroy(&store, "_base", &err));
	assert_true(store_has_template(&store, "_base"));
}

/* As the engine does: layers with mapped owners, the overlay made by the mapped root. */
static void mapped_layers_work(void **arg)
{
	autodone(store_layout_done) struct store_layout l = {0};
	autodone(str_done) struct str lower = {0}, upper = {0}, work = {0};

	(void)arg;
	make_base();
	put_file(in_box("var/lib/newgate/templates/_base/root/etc/ssh/ssh_host_rsa_key"), "secret");
	OK(store_clone(&store, "_base", "web", in_box("jails/web"), NULL, &err));
	OK(store_layout(&store, "web", in_box("jails/web"), &l, &err));
	autoclose int userns = ns_user_fd(0x50000000, 65536);
	autoclose int low = mount_clone(AT_FDCWD, l.lower[0], false);
	autoclose int top = mount_clone(AT_FDCWD, in_box("var/lib/newgate/jails/web"), false);
	assert_true(userns >= 0 && low >= 0 && top >= 0);
	assert_int_equal(mount_idmap(low, userns, false), 0);
	assert_int_equal(mount_idmap(top, userns, false), 0);
	str_addf(&lower, "lowerdir=/proc/self/fd/%d", low);
	str_addf(&upper, "upperdir=/proc/self/fd/%d/upper", top);
	str_addf(&work, "workdir=/proc/self/fd/%d/work", top);
	const char *const opts[] = {lower.s, upper.s, work.s, "userxattr", NULL};
	assert_int_equal(caps_file_ids(0x50000000), 0);
	autoclose int mnt = mount_new("overlay", "newgate", opts, 0);
	assert_true(mnt >= 0);
	struct stat st;
	assert_int_equal(fstatat(mnt, "etc/rc", &st, 0), 0);
	assert_int_equal(st.st_uid, 0x50000000);
	assert_int_equal(fstatat(mnt, "etc/machine-id", &st, 0), 0);
	assert_int_equal(st.st_uid, 0x50000000);
	assert_int_equal(fstatat(mnt, "etc/ssh/ssh_host_rsa_key", &st, 0), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(unlinkat(mnt, "bin/tool", 0), 0);
	autoclose int made = openat(mnt, "made", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(made >= 0);
	assert_int_equal(caps_file_ids(0), 0);
	/* On disk the owners are ordinary ones. */
	assert_int_equal(stat_of(in_box("var/lib/newgate/jails/web/upper/made")).st_uid, 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	ENTER_NAMESPACES(0);
	const struct CMUnitTest tests[] = {
	    TEST(a_template_has_no_identity),
	    TEST(templates_are_listed),
	    TEST(an_overlay_clone_is_itself),
	    TEST(a_jail_is_cloned_with_its_changes),
	    TEST(a_copy_is_made_where_no_overlay_can_be),
	    TEST(a_file_system_that_cannot_map_owners_is_named),
	    TEST(a_plain_directory_needs_no_entry),
	    TEST(nothing_is_cloned_over),
	    TEST(a_clone_that_was_cut_off_is_made_anew),
	    TEST(links_lead_nowhere),
	    TEST(destroy_stops_at_mounts_and_links),
	    TEST(an_overlay_is_destroyed_whole),
	    TEST(a_full_disk_leaves_nothing),
	    cmocka_unit_test_setup_teardown(a_killed_clone_leaves_nothing_to_trip_over,
					    setup_in_memory, teardown),
	    TEST(one_at_a_time),
	    TEST(mapped_layers_work),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
