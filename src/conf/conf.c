#include "conf/conf.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/str.h"
#include "conf/parse.h"

size_t conf_add_record(struct conf *c, const char *name, struct pos pos)
{
	size_t i = c->nrecords;
	c->record = mem_grow(c->record, i, sizeof(*c->record));
	c->record[i] = (struct conf_record){
	    .name = name,
	    .pos = pos,
	    .unit = c->unit,
	    .wildcards = c->unit_wildcards,
	};
	c->nrecords++;
	if (conf_is_wildcard(name)) {
		c->wildcard = mem_grow(c->wildcard, c->nwildcards, sizeof(*c->wildcard));
		c->wildcard[c->nwildcards++] = i;
	} else {
		/* Of two blocks with one name the first counts; check.h tells about the second. */
		map_put(&c->by_name, name, strlen(name), i);
	}
	return i;
}

void conf_add_param(struct conf *c, size_t record, const struct conf_param *p)
{
	struct conf_record *r = &c->record[record];
	r->param = mem_grow(r->param, r->nparams, sizeof(*r->param));
	r->param[r->nparams++] = *p;
}

void conf_new_unit(struct conf *c)
{
	c->unit++;
	c->unit_wildcards = c->nwildcards;
}

/* Device and inode, as bytes without padding. */
struct file_key {
	unsigned long long dev, ino;
};

static bool file_key(const char *path, struct file_key *key)
{
	struct stat st;
	if (stat(path, &st) < 0)
		return false;
	*key = (struct file_key){.dev = st.st_dev, .ino = st.st_ino};
	return true;
}

void conf_note_file(struct conf *c, const char *path)
{
	struct file_key *key = arena_alloc(&c->arena, sizeof(*key));
	if (file_key(path, key))
		map_put(&c->files, key, sizeof(*key), 0);
}

bool conf_has_file(const struct conf *c, const char *path)
{
	struct file_key key;
	return file_key(path, &key) && map_get(&c->files, &key, sizeof(key));
}

int conf_read(struct conf *c, const char *path, struct diags *d)
{
	autofree char *text = NULL;
	size_t len;
	bool in = str_eq(path, "-");

	const char *name = in ? "STDIN" : arena_strndup(&c->arena, path, strlen(path));
	int r = file_read(path, &text, &len);
	if (r < 0) {
		diag_error(d, (struct pos){.file = name}, "%s", strerror(-r));
		return r;
	}
	const char *slash = strrchr(path, '/');
	if (!in)
		conf_note_file(c, path);
	parse_text(c, name,
		   slash ? arena_strndup(&c->arena, path, (size_t)(slash + 1 - path)) : NULL, text,
		   len, d);
	return 0;
}

void conf_read_text(struct conf *c, const char *name, const char *dir, const char *text, size_t len,
		    struct diags *d)
{
	parse_text(c, arena_strndup(&c->arena, name, strlen(name)),
		   dir ? arena_printf(&c->arena, "%s/", dir) : NULL, text, len, d);
}

/* One more value of a parameter of the command line. */
static void add_value(struct conf *c, struct conf_param *p, const char *text, size_t len)
{
	struct conf_string *all = arena_alloc(&c->arena, (p->nvalues + 1) * sizeof(*all));
	if (p->nvalues)
		memcpy(all, p->value, p->nvalues * sizeof(*all));
	struct conf_part *part = arena_alloc(&c->arena, sizeof(*part));
	part->text = arena_strndup(&c->arena, text, len);
	all[p->nvalues++] = (struct conf_string){.part = part, .nparts = 1, .pos = p->pos};
	p->value = all;
}

static size_t argument_record(struct conf *c, const char *jail, struct pos pos)
{
	const size_t *found = jail ? map_get(&c->by_name, jail, strlen(jail)) : NULL;
	if (found)
		return *found;
	if (!jail && c->nrecords)
		return c->nrecords - 1;
	jail = jail ? jail : "";
	size_t i = conf_add_record(c, arena_strndup(&c->arena, jail, strlen(jail)), pos);
	c->record[i].argument = true;
	return i;
}

void conf_add_argument(struct conf *c, const char *jail, const char *arg, struct diags *d)
{
	struct pos pos = {.file = ""};
	const char *eq = strchr(arg, '=');
	size_t len = eq ? (size_t)(eq - arg) : strlen(arg);
	bool append = eq && len && eq[-1] == '+';

	struct conf_param p = {
	    .name = arena_strndup(&c->arena, arg, len - append),
	    .append = true,
	    .argument = true,
	    .pos = pos,
	};
	if (!*p.name) {
		diag_error(d, pos, "\"%s\": the name of a parameter is missing before \"=\"", arg);
		return;
	}
	p.id = param_find(p.name, &p.negated);
	if (eq && param_get(p.id)->type == PT_ADDRS) {
		for (const char *s = eq + 1;; s++) {
			size_t n = strcspn(s, ",");
			add_value(c, &p, s, n);
			s += n;
			if (!*s)
				break;
		}
	} else if (eq) {
		add_value(c, &p, eq + 1, strlen(eq + 1));
	}
	conf_add_param(c, argument_record(c, jail, pos), &p);
}

void conf_done(struct conf *c)
{
	for (size_t i = 0; i < c->nrecords; i++)
		free(c->record[i].param);
	free(c->record);
	free(c->wildcard);
	map_done(&c->by_name);
	map_done(&c->files);
	arena_done(&c->arena);
	*c = (struct conf){0};
}

static bool is_star(const char *s, size_t len)
{
	return len == 1 && *s == '*';
}

bool conf_is_wildcard(const char *name)
{
	for (;; name++) {
		size_t len = strcspn(name, ".");
		if (is_star(name, len))
			return true;
		name += len;
		if (!*name)
			return false;
	}
}

bool conf_wildcard_match(const char *wildcard, const char *jail)
{
	for (;; wildcard++, jail++) {
		size_t w = strcspn(wildcard, "."), j = strcspn(jail, ".");
		if (is_star(wildcard, w) && !wildcard[w])
			return true;
		if (!is_star(wildcard, w) && (w != j || memcmp(wildcard, jail, w) != 0))
			return false;
		wildcard += w;
		jail += j;
		if (!*wildcard || !*jail)
			return !*wildcard && !*jail;
	}
}

const char **conf_names(const struct conf *c, size_t *n)
{
	const char **names = mem_alloc((c->nrecords + 1) * sizeof(*names));
	*n = 0;
	for (size_t i = 0; i < c->nrecords; i++) {
		const char *name = c->record[i].name;
		const size_t *first = map_get(&c->by_name, name, strlen(name));
		if (first && *first == i)
			names[(*n)++] = name;
	}
	return names;
}

const struct conf_record *conf_find(const struct conf *c, const char *name)
{
	const size_t *i = map_get(&c->by_name, name, strlen(name));
	return i ? &c->record[*i] : NULL;
}
