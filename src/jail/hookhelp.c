#include "jail/hookhelp.h"

#include <ctype.h>
#include <stdbool.h>
#include "base/str.h"

#define LINK                                                                             \
	"newgate makes the jail's link itself; remove this line, take the epair out of " \
	"vnet.interface, and give the address as ip4.addr"
#define MOUNT "use the parameter `mount` (or mount.fstab) with type nullfs, tmpfs and the like"

/* The first row that fits is the answer. `word`: one of the arguments, perhaps with a number; NULL:
 * whatever they are. */
static const struct {
	const char *tool, *word, *advice;
} rows[] = {
    {"ifconfig", "epair", LINK},
    {"ifconfig", "bridge",
     "jails are routed here, not bridged: newgate connects them itself; remove this line and give "
     "the address as ip4.addr"},
    {"ifconfig", "vnet", "give the link as vnet.interface: newgate moves it in and gets it back"},
    {"ifconfig", "-vnet", "a link of vnet.interface comes back by itself; remove this line"},
    {"ifconfig", "alias",
     "give the address as ip4.addr or ip6.addr: newgate adds it and takes it away; remove this "
     "line"},
    {"ifconfig", "-alias", "newgate takes the jail's addresses away itself; remove this line"},
    {"ifconfig", "inet", "give the address as ip4.addr or ip6.addr; remove this line"},
    {"ifconfig", "lo",
     "newgate makes the link that `interface` names, with the network that ifconfig_NAME of "
     "/etc/rc.conf gives it; remove this line"},
    {"ifconfig", NULL, "on Linux links are made, changed and shown by ip(8)"},
    {"jib", NULL, LINK},
    {"jng", NULL, LINK},
    {"ngctl", NULL, "Linux has no netgraph; " LINK},
    {"route", NULL,
     "newgate sets the jail's routes itself, from its addresses; remove this line (other routes: "
     "ip route)"},
    {"setfib", NULL, "a jail has a network namespace and routes of its own; remove setfib"},
    {"arp", NULL, "jails are routed, there is nothing to resolve or to publish; remove this line"},
    {"ipfw", NULL, "use the parameters rdr, allow.connect and nat.source"},
    {"sysrc", NULL, "change the jail's /etc/rc.conf in its template, or by exec.start with sed(1)"},
    {"pw", NULL, "on Linux users are made by useradd(8) and groupadd(8)"},
    {"devfs", NULL,
     "mount.devfs gives the jail a private /dev with the harmless devices; remove this line"},
    {"mount", "devfs", "use the parameter mount.devfs; remove this line"},
    {"mount", "fdescfs", "use the parameter mount.fdescfs; remove this line"},
    {"mount", "procfs", "use the parameter mount.procfs; remove this line"},
    {"mount", "linprocfs", "use the parameter mount.procfs; remove this line"},
    {"mount", "linsysfs", "the jail has a read-only /sys already; remove this line"},
    {"mount", "nullfs", MOUNT ": newgate mounts it and takes it away"},
    {"mount_nullfs", NULL, MOUNT},
    {"mount_unionfs", NULL, "`newgate clone` lays a jail over its template; remove this line"},
    {"mount_devfs", NULL, "use the parameter mount.devfs; remove this line"},
    {"mount_fdescfs", NULL, "use the parameter mount.fdescfs; remove this line"},
    {"mount_procfs", NULL, "use the parameter mount.procfs; remove this line"},
    {"mdconfig", NULL, MOUNT},
    {"mdmfs", NULL, MOUNT},
    {"zfs", "jail", "a jail's processes cannot manage datasets on Linux; remove this line"},
    {"zfs", "unjail", "a jail's processes cannot manage datasets on Linux; remove this line"},
    {"zfs", NULL,
     "`newgate clone` and `newgate destroy` make and remove a jail's tree; for zfs itself install "
     "zfsutils-linux"},
    {"kldload", NULL, "Linux loads its modules by itself; remove this line"},
    {"kldstat", NULL, "Linux shows its modules by lsmod(8)"},
    {"cpuset", NULL, "use the parameter rctl, as in rctl = \"pcpu:deny=150\""},
    {"rctl", NULL, "use the parameter rctl, as in rctl = \"memoryuse:deny=512m\""},
    {"chflags", NULL, "on Linux file flags are set by chattr(1)"},
    {"lockf", NULL, "on Linux a lock is held by flock(1)"},
    {"daemon", NULL, "use the parameter service: PID 1 of the jail keeps its commands running"},
    {"pkg", NULL, "install the package by the jail's own tool, as in apt-get or apk"},
    {"freebsd-update", NULL, "update the jail by its own tool, as in apt-get or apk"},
    {"ezjail-admin", NULL, "newgate clones and starts jails itself; remove this line"},
    {"iocage", NULL, "newgate clones and starts jails itself; remove this line"},
    {"bastille", NULL, "newgate clones and starts jails itself; remove this line"},
};

/* epair stands for epair, epair0, epair0b, but jail not for jailed=on. */
static bool fits(const char *arg, const char *word)
{
	return str_prefix(arg, word) && !isalpha((unsigned char)arg[strlen(word)]);
}

static const char *advice(const char *tool, char *const *args)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (!str_eq(rows[i].tool, tool))
			continue;
		if (!rows[i].word)
			return rows[i].advice;
		for (char *const *a = args; *a; a++)
			if (fits(*a, rows[i].word))
				return rows[i].advice;
	}
	return NULL;
}

/* What stands before a command without being one. */
static bool is_prefix(const char *word)
{
	static const char *const words[] = {
	    "!",    "command", "do",   "doas", "elif", "else",  "env",   "eval", "exec", "if",
	    "nice", "nohup",   "sudo", "then", "time", "until", "while", "{",    "}"};
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (str_eq(words[i], word))
			return true;
	size_t name =
	    strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789");
	return name > 0 && word[name] == '=';
}

/* One simple command. */
static const char *call(const struct strv *words)
{
	size_t i = 0;

	while (i < words->n && is_prefix(words->v[i]))
		i++;
	if (i == words->n)
		return NULL;
	const char *slash = strrchr(words->v[i], '/');
	const char *tool = slash ? slash + 1 : words->v[i];
	char *const *args = words->v + i + 1;
	size_t len = strlen(tool);
	if (len >= 2 && str_eq(tool + len - 2, "sh"))
		for (; args[0] && args[1]; args++)
			if (str_eq(args[0], "-c"))
				return hookhelp(args[1]);
	return advice(tool, words->v + i + 1);
}

static const char *commands(const char **p, char until);

/* $(…), `…` or ${…}; *p is at its first byte, afterwards behind it. */
static const char *expansion(const char **p)
{
	char end = **p == '`' ? '`' : (*p)[1] == '(' ? ')' : '}';
	const char *found = NULL;

	*p += end == '`' ? 1 : 2;
	if (end == '}')
		*p += strcspn(*p, "}");
	else
		found = commands(p, end);
	*p += **p == end;
	return found;
}

/* Reads one word, its quotes taken off; what it expands by is looked into. */
static const char *word(const char **p, char until, struct str *out)
{
	const char *found = NULL;
	bool quoted = false;

	for (; !found && **p; *p += **p != '\0') {
		char c = **p;
		if (!quoted && (c == until || strchr(" \t\r\n;&|()<>", c)))
			break;
		if (c == '"') {
			quoted = !quoted;
		} else if (c == '\'' && !quoted) {
			size_t n = strcspn(*p + 1, "'");
			str_addn(out, *p + 1, n);
			*p += n + ((*p)[n + 1] == '\'');
		} else if (c == '\\' && (*p)[1]) {
			*p += 1;
			str_addc(out, **p);
		} else if ((c == '$' && ((*p)[1] == '(' || (*p)[1] == '{')) ||
			   (c == '`' && until != '`')) {
			found = expansion(p);
			*p -= 1;
		} else {
			str_addc(out, c);
		}
	}
	return found;
}

/* Reads commands up to `until` or the end of the text. */
static const char *commands(const char **p, char until)
{
	autodone(strv_done) struct strv words = {0};
	const char *found = NULL;

	while (!found && **p && **p != until) {
		char c = **p;
		if (strchr(";&|()\n", c)) {
			found = call(&words);
			strv_done(&words);
			*p += 1;
		} else if (c == '#') {
			*p += strcspn(*p, "\n");
		} else if (strchr(" \t\r<>", c)) {
			*p += 1;
		} else {
			autodone(str_done) struct str w = {0};
			found = word(p, until, &w);
			strv_add(&words, str_text(&w));
		}
	}
	return found ? found : call(&words);
}

const char *hookhelp(const char *command)
{
	return commands(&command, '\0');
}
