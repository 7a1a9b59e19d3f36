/* Limits and mount lines. */
#include "conf/value.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/num.h"
#include "base/str.h"

enum unit { BYTES, COUNT };

static const struct {
	const char *name;
	enum unit unit;
	bool io;
} resources[] = {
    [RCTL_MEMORYUSE] = {"memoryuse", BYTES, false}, [RCTL_SWAPUSE] = {"swapuse", BYTES, false},
    [RCTL_MAXPROC] = {"maxproc", COUNT, false},     [RCTL_PCPU] = {"pcpu", COUNT, false},
    [RCTL_READBPS] = {"readbps", BYTES, true},      [RCTL_WRITEBPS] = {"writebps", BYTES, true},
    [RCTL_READIOPS] = {"readiops", COUNT, true},    [RCTL_WRITEIOPS] = {"writeiops", COUNT, true},
    [RCTL_OPENFILES] = {"openfiles", COUNT, false}, [RCTL_DISK] = {"disk", BYTES, false},
};

static int fail(const char **why, const char *text)
{
	*why = text;
	return -EINVAL;
}

/* Is s[0..n) that word? */
static bool is(const char *s, size_t n, const char *word)
{
	return strlen(word) == n && memcmp(s, word, n) == 0;
}

static int find_resource(const char *s, size_t n, struct conf_rctl *out, const char **why)
{
	for (size_t i = 0; i < ARRAY_SIZE(resources); i++)
		if (is(s, n, resources[i].name)) {
			out->resource = (enum rctl_resource)i;
			return 0;
		}
	if (is(s, n, "jail"))
		return fail(why, "the subject is this jail: write only RESOURCE:deny=AMOUNT");
	if (is(s, n, "vmemoryuse") || is(s, n, "datasize") || is(s, n, "stacksize"))
		return fail(why, "Linux limits a jail's memory as a whole: memoryuse:deny=AMOUNT");
	return fail(why,
		    "the resource is none of memoryuse, swapuse, maxproc, pcpu, readbps, writebps, "
		    "readiops, writeiops, openfiles, disk");
}

int value_rctl(const char *s, struct conf_rctl *out, const char **why)
{
	size_t n = strcspn(s, ":");
	if (find_resource(s, n, out, why) < 0)
		return -EINVAL;
	const char *eq = strchr(s, '=');
	if (!s[n] || !eq)
		return fail(why, "it reads RESOURCE:ACTION=AMOUNT, as in memoryuse:deny=512m");
	const char *action = s + n + 1;
	size_t len = (size_t)(eq - action);
	bool io = resources[out->resource].io;
	if (!is(action, len, "deny") && !(io && is(action, len, "throttle")))
		return fail(why, io ? "the action is deny or throttle" : "the action is deny");

	char amount[32];
	size_t digits = strcspn(eq + 1, "/");
	const char *per = eq + 1 + digits;
	if (*per && !str_eq(per, "/jail"))
		return fail(why, "a limit is per jail: leave out what follows \"/\"");
	if (digits >= sizeof(amount))
		return fail(why, "the amount is too large");
	memcpy(amount, eq + 1, digits);
	amount[digits] = '\0';
	uint64_t v;
	int r = resources[out->resource].unit == BYTES ? num_size(amount, &v)
						       : num_u64(amount, 0, UINT64_MAX, &v);
	if (r == -ERANGE)
		return fail(why, "the amount is too large");
	if (r < 0)
		return fail(why,
			    resources[out->resource].unit == BYTES
				? "the amount is a number of bytes, with k, m, g or t behind it"
				: "the amount is a whole number");
	if (!v)
		return fail(why, "an amount of 0 would stop the jail: leave the limit out");
	out->amount = v;
	return 0;
}

/* One "daily 7". */
static int keep_one(const char *s, size_t n, struct conf_keep *out, const char **why)
{
	static const char *const periods[] = {"hourly", "daily", "weekly", "monthly"};
	char count[16];
	size_t word = strcspn(s, " \t");
	if (word >= n)
		return fail(why, "it reads PERIOD NUMBER, as in daily 7");
	const char *number = s + word + strspn(s + word, " \t");
	size_t len = n - (size_t)(number - s);
	while (len > 0 && strchr(" \t", number[len - 1]))
		len--;
	if (len >= sizeof(count))
		return fail(why, "the number is 1 to 10000");
	memcpy(count, number, len);
	count[len] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(periods); i++) {
		if (!is(s, word, periods[i]))
			continue;
		if (out->n[i])
			return fail(why, "a period comes twice");
		return num_u32(count, 1, 10000, &out->n[i]) < 0
			   ? fail(why, "the number is 1 to 10000")
			   : 0;
	}
	return fail(why, "the period is none of hourly, daily, weekly, monthly");
}

int value_keep(const char *s, struct conf_keep *out, const char **why)
{
	*out = (struct conf_keep){0};
	for (;;) {
		s += strspn(s, " \t");
		size_t n = strcspn(s, ",");
		if (keep_one(s, n, out, why) < 0)
			return -EINVAL;
		if (!s[n])
			return 0;
		s += n + 1;
	}
}

static bool is_octal(char c)
{
	return c >= '0' && c <= '7';
}

/* "\040" is a blank: how fstab(5) writes what would end a field. */
static char *decode(struct arena *a, const char *s, size_t n)
{
	char *text = arena_strndup(a, s, n), *to = text;
	for (const char *p = text; *p; p++) {
		if (p[0] == '\\' && p[1] >= '0' && p[1] <= '3' && is_octal(p[2]) &&
		    is_octal(p[3])) {
			*to = (char)((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0'));
			p += 3;
		} else {
			*to = *p;
		}
		if (*to)
			to++;
	}
	*to = '\0';
	return text;
}

int value_mount(struct arena *a, const char *line, struct conf_mount *out, const char **why)
{
	static const char blank[] = " \t\r\n";
	const char *field[6];
	size_t n = 0;

	const char *end = line + strcspn(line, "#");
	for (const char *p = line;; n++) {
		p += strspn(p, blank);
		if (p >= end)
			break;
		size_t len = strcspn(p, blank);
		if (len > (size_t)(end - p))
			len = (size_t)(end - p);
		if (n == ARRAY_SIZE(field))
			return fail(why, "more than six fields: a blank within a field is \\040");
		field[n] = decode(a, p, len);
		p += len;
	}
	if (!n)
		return 1;
	if (n < 3)
		return fail(why, "missing information: DEVICE DIRECTORY TYPE [OPTIONS] are needed");
	*out = (struct conf_mount){field[0], field[1], field[2], n > 3 ? field[3] : "rw"};
	for (size_t i = 4; i < n; i++) {
		uint64_t number;
		if (num_u64(field[i], 0, UINT64_MAX, &number) < 0)
			return fail(why,
				    "the fifth and sixth field are numbers: a blank within a field "
				    "is \\040");
	}
	if (*out->dir != '/')
		return fail(
		    why,
		    arena_printf(a, "%s: not an absolute pathname (begin it with the jail's path)",
				 out->dir));
	return 0;
}

/* Those of src/jail/privs.c: what a jail has by default, then what an allow.* adds. */
static const char *const grantable[] = {
    "chown",
    "dac_override",
    "fowner",
    "fsetid",
    "setfcap",
    "setuid",
    "setgid",
    "kill",
    "sys_chroot",
    "setpcap",
    "audit_write",
    "sys_ptrace",
    "net_bind_service",
    "net_raw",
    "net_admin",
    "sys_admin",
    "ipc_owner",
};

const char *value_capability(struct arena *a, const char *s, const char **why)
{
	bool prefixed = strncasecmp(s, "cap_", 4) == 0;
	char *name = arena_printf(a, "%s", prefixed ? s + 4 : s);
	const char *near;
	for (char *p = name; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	for (size_t i = 0; i < ARRAY_SIZE(grantable); i++)
		if (str_eq(grantable[i], name))
			return grantable[i];
	near = str_nearest(name, grantable, ARRAY_SIZE(grantable));
	*why = near ? arena_printf(a, "no jail has this capability (did you mean \"%s\"?)", near)
		    : "no jail has this capability, so that there is nothing to keep";
	return NULL;
}
