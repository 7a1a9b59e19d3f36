#include "conf/files.h"

#include <glob.h>
#include <string.h>

#include "base/str.h"

#define MAIN_FILE "/etc/jail.conf"

char *files_path(const char *root, const char *path)
{
	struct str s = {0};
	str_addf(&s, "%s%s", root ? root : "", path);
	return str_take(&s);
}

/* A file that is not there is left out; one that was read already too. */
static int read_unit(struct conf *c, const char *path, struct diags *d)
{
	if (access(path, F_OK) < 0 || conf_has_file(c, path))
		return 0;
	conf_new_unit(c);
	return conf_read(c, path, d);
}

/* The root is a name, not a pattern. */
static char *escape_pattern(const char *s)
{
	struct str out = {0};
	for (; *s; s++) {
		if (strchr("*?[\\", *s))
			str_addc(&out, '\\');
		str_addc(&out, *s);
	}
	return str_take(&out);
}

static int read_pattern(struct conf *c, const char *pattern, struct diags *d)
{
	autofree char *root = escape_pattern(c->root);
	autofree char *path = files_path(root, pattern);
	glob_t found = {0};
	int first = 0;
	if (glob(path, 0, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc; i++) {
			int r = read_unit(c, found.gl_pathv[i], d);
			first = first ? first : r;
		}
	globfree(&found);
	return first;
}

int files_read_rest(struct conf *c, struct diags *d)
{
	int fragments = read_pattern(c, "/etc/jail.conf.d/*.conf", d);
	int singles = read_pattern(c, "/etc/jail.*.conf", d);
	return fragments ? fragments : singles;
}

int files_read_all(struct conf *c, const char *root, struct diags *d)
{
	autofree char *path = files_path(root, MAIN_FILE);
	c->root = root ? root : "";
	int r = read_unit(c, path, d);
	int rest = files_read_rest(c, d);
	return r ? r : rest;
}

int files_read_one(struct conf *c, const char *root, const char *jail, struct diags *d)
{
	static const char *const before[] = {"/etc/jail.", "/etc/jail.conf.d/"};
	autofree char *name = mem_strdup(jail);
	for (char *p = name; *p; p++)
		if (*p == '.' || *p == '/')
			*p = '_';
	c->root = root ? root : "";
	for (size_t i = 0; i < ARRAY_SIZE(before); i++) {
		struct str path = {0};
		str_addf(&path, "%s%s%s.conf", c->root, before[i], name);
		autofree char *file = str_take(&path);
		if (access(file, F_OK) == 0)
			return conf_read(c, file, d);
	}
	autofree char *path = files_path(c->root, MAIN_FILE);
	return read_unit(c, path, d);
}
