#include "store/stream.h"

#include <string.h>
#include "base/mem.h"
#include "base/num.h"
#include "store/entry.h"
#include "store/stream-module.h"

#define FIRST_LINE "newgate-stream "

struct text_line {
	const char *key;
	size_t at; /* in struct stream_info */
};
static const struct text_line lines[] = {
    {"jail", offsetof(struct stream_info, jail)},
    {"backend", offsetof(struct stream_info, backend)},
    {"path", offsetof(struct stream_info, path)},
    {"snapshot", offsetof(struct stream_info, snapshot)},
    {"since", offsetof(struct stream_info, since)},
    {"base", offsetof(struct stream_info, base)},
    {"host", offsetof(struct stream_info, host)},
};

static char **field(const struct stream_info *i, size_t line)
{
	return (char **)((char *)(uintptr_t)i + lines[line].at);
}

void stream_info_format(struct str *out, const struct stream_info *i)
{
	str_addf(out, FIRST_LINE "%d\n", STREAM_VERSION);
	for (size_t k = 0; k < ARRAY_SIZE(lines); k++)
		if (*field(i, k))
			str_addf(out, "%s %s\n", lines[k].key, *field(i, k));
	str_addf(out, "made %lld\nbytes %llu\n", (long long)i->made, (unsigned long long)i->bytes);
	if (i->live)
		str_add(out, "live yes\n");
}

static int set_line(struct stream_info *i, const char *key, const char *value)
{
	for (size_t k = 0; k < ARRAY_SIZE(lines); k++) {
		if (!str_eq(lines[k].key, key))
			continue;
		if (*field(i, k) || *value == '\0')
			return -EBADMSG;
		*field(i, k) = mem_strdup(value);
		return 0;
	}
	if (str_eq(key, "made"))
		return num_i64(value, 0, INT64_MAX, &i->made) < 0 ? -EBADMSG : 0;
	if (str_eq(key, "bytes"))
		return num_u64(value, 0, UINT64_MAX, &i->bytes) < 0 ? -EBADMSG : 0;
	if (str_eq(key, "live"))
		i->live = str_eq(value, "yes");
	return 0;
}

static bool is_sum(const char *s)
{
	return strlen(s) == 64 && strspn(s, "0123456789abcdef") == 64;
}

/* What the rest relies on. */
static int check_info(const struct stream_info *i, struct ng_err *err)
{
	if (!i->jail)
		return err_set(err, EBADMSG, "it does not say of which jail it is");
	if (store_check_name(STORE_JAILS, i->jail, err) < 0)
		return err_prefix(err, "of which jail it is");
	if (i->path && i->path[0] != '/')
		return err_set(err, EBADMSG, "its jail's path \"%s\" is not absolute", i->path);
	if (!i->since != !i->base)
		return err_set(err, EBADMSG, "it tells half of what it begins at");
	if (i->base && !is_sum(i->base))
		return err_set(err, EBADMSG, "the checksum \"%.100s\" in it is none", i->base);
	return 0;
}

static int parse_lines(char *text, struct stream_info *out, struct ng_err *err)
{
	char *rest = text;
	uint32_t version;
	char *first = strsep(&rest, "\n");

	if (!str_prefix(first, FIRST_LINE) ||
	    num_u32(first + strlen(FIRST_LINE), 1, UINT16_MAX, &version) < 0)
		return err_set(err, EBADMSG, "it is not one of newgate's");
	if (version != STREAM_VERSION)
		return err_set(err, EBADMSG,
			       "it is of version %u, this newgate reads version %d: take a newer "
			       "newgate",
			       version, STREAM_VERSION);
	for (char *line; (line = strsep(&rest, "\n")) && rest;) {
		char *value = strchr(line, ' ');
		if (value)
			*value++ = '\0';
		if (!value || set_line(out, line, value) < 0)
			return err_set(err, EBADMSG, "the line \"%.100s\" in it makes no sense",
				       line);
	}
	return check_info(out, err);
}

int stream_info_parse(const char *text, size_t len, struct stream_info *out, struct ng_err *err)
{
	autofree char *copy = mem_strndup(text, len);

	*out = (struct stream_info){0};
	if (strlen(copy) != len || len == 0 || text[len - 1] != '\n')
		return err_set(err, EBADMSG, STREAM_INFO " is not text");
	int rc = parse_lines(copy, out, err);
	if (rc == 0)
		return 0;
	stream_info_done(out);
	return err_prefix(err, STREAM_INFO);
}

void stream_info_done(struct stream_info *i)
{
	for (size_t k = 0; k < ARRAY_SIZE(lines); k++)
		free(*field(i, k));
	*i = (struct stream_info){0};
}

const struct stream_module *stream_load(struct ng_err *err)
{
	return archive_symbol(STREAM_SYMBOL, err);
}

static bool leads_out(const char *name)
{
	for (const char *p = name;;) {
		size_t n = strcspn(p, "/");
		if (n == 0 || (n <= 2 && strncmp(p, "..", n) == 0))
			return true;
		if (p[n] == '\0')
			return false;
		p += n + 1;
	}
}

int stream_removed_parse(const char *text, size_t len, struct strv *out, struct ng_err *err)
{
	for (size_t at = 0; at < len;) {
		const char *name = text + at;
		size_t n = strnlen(name, len - at);
		if (n == len - at)
			return err_set(err, EBADMSG, STREAM_REMOVED ": a name is cut short");
		if (leads_out(name))
			return err_set(err, EBADMSG,
				       STREAM_REMOVED ": %.512s: this name leads out of the tree",
				       name);
		strv_add(out, name);
		at += n + 1;
	}
	return 0;
}
