/* From records to one jail: the wildcards that cover it and its own block are applied in the order
 * of the file, later statements over earlier ones; then variables are replaced. */
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "conf/resolve.h"

/* Bounds on what variables may multiply into. Nothing sensible comes near them. */
#define MAX_DEPTH 200               /* variables inside variables */
#define MAX_VALUES 100000           /* of one jail */
#define MAX_TEXT (16 * 1024 * 1024) /* bytes of one jail */

/* The strings of one statement; `+=` links another behind it. */
struct segment {
	const struct conf_string *string;
	size_t n;
	struct segment *next;
};

enum entry_state { FRESH, BUSY, DONE, BAD };

/* A variable or parameter of the jail while it is put together. */
struct entry {
	const char *name;
	enum param_id id;
	bool variable, negated, argument;
	bool immutable; /* the name that the block implies */
	struct pos pos; /* of the last statement about it */
	size_t record;  /* of that statement */
	struct segment *first, *last;
	enum entry_state state;
	struct conf_value *value;
	size_t nvalues;
};

struct resolver {
	const struct conf *conf;
	struct conf_jail *jail;
	struct diags *diags;
	struct entry *entry;
	size_t nentries;
	unsigned slot[PARAM_COUNT]; /* index + 1 of a parameter's entry */
	struct map named;           /* variables, keyed and unknown parameters: their index */
	size_t nvalues, bytes;      /* made by expansion so far */
};

bool conf_name_is_jid(const char *name)
{
	char *end;
	errno = 0;
	long v = strtol(name, &end, 10);
	return v && !*end && !errno;
}

static bool is_keyed(enum param_id id)
{
	return param_get(id)->flags & PF_KEYED;
}

/* The entry of that name and kind. Parameters that we know are found by number, so that "persist"
 * and "nopersist" meet; the rest by their spelling. */
static struct entry *find_entry(struct resolver *r, const char *name, enum param_id id)
{
	if (id && !is_keyed(id))
		return r->slot[id] ? &r->entry[r->slot[id] - 1] : NULL;
	const size_t *i = map_get(&r->named, name, strlen(name));
	return i ? &r->entry[*i] : NULL;
}

static struct entry *new_entry(struct resolver *r, const struct conf_param *p)
{
	size_t i = r->nentries;
	r->entry = mem_grow(r->entry, i, sizeof(*r->entry));
	r->entry[i] = (struct entry){.id = p->id, .variable = p->variable};
	r->nentries++;
	if (p->id && !is_keyed(p->id))
		r->slot[p->id] = (unsigned)i + 1;
	else
		map_put(&r->named, p->name, strlen(p->name), i);
	return &r->entry[i];
}

/* FreeBSD 15 gathers all that stands outside of blocks in one place, that of the first such
 * statement; before, and here, each acts where it stands. Says so where the two differ. */
static void warn_global(struct resolver *r, const struct entry *e, const struct conf_param *p,
			size_t record)
{
	const struct conf *c = r->conf;
	if (!c->record[record].global || c->record[e->record].global || e->record >= record)
		return;
	size_t i = c->record[record].wildcards;
	for (; i < c->nwildcards && c->wildcard[i] < e->record; i++) {
		if (!c->record[c->wildcard[i]].global)
			continue;
		diag_warn_once(
		    r->diags, p->pos,
		    "\"%s\" below the blocks %s what %s:%u says; FreeBSD 15 would put it "
		    "above them: move it there, or into \"* { }\"",
		    p->name, p->append ? "adds to" : "overrides", e->pos.file, e->pos.line);
		return;
	}
}

/* Does the name stand for a parameter and for a variable? They share one set of names. */
static bool clash(struct resolver *r, const struct conf_param *p)
{
	struct entry *other;
	if (p->variable) {
		bool negated;
		other = find_entry(r, p->name, param_find(p->name, &negated));
		return other && !other->variable && str_eq(other->name, p->name);
	}
	const size_t *i = map_get(&r->named, p->name, strlen(p->name));
	return i && r->entry[*i].variable;
}

static void apply(struct resolver *r, const struct conf_param *p, size_t record)
{
	if (clash(r, p)) {
		diag_error_of(
		    r->diags, r->jail->block, p->pos,
		    "variable \"$%s\" cannot have the same name as a parameter: choose another",
		    p->name);
		return;
	}
	struct entry *e = find_entry(r, p->name, p->id);
	if (!e) {
		e = new_entry(r, p);
	} else if (e->immutable) {
		diag_error_of(r->diags, r->jail->block, p->pos,
			      "cannot redefine parameter \"%s\": the name of the block is it",
			      e->name);
		return;
	} else {
		warn_global(r, e, p, record);
	}
	e->name = p->name;
	e->negated = p->negated;
	e->argument = p->argument;
	e->pos = p->pos;
	e->record = record;
	if (!p->append || !p->nvalues)
		e->first = e->last = NULL;
	if (!p->nvalues)
		return;
	struct segment *s = arena_alloc(&r->jail->arena, sizeof(*s));
	*s = (struct segment){.string = p->value, .n = p->nvalues};
	if (e->last)
		e->last->next = s;
	else
		e->first = s;
	e->last = s;
}

/* As if the block's name stood in it as parameter `id`. */
static void apply_name(struct resolver *r, enum param_id id, size_t record)
{
	const struct conf_record *own = &r->conf->record[record];
	struct arena *a = &r->jail->arena;
	struct conf_part *part = arena_alloc(a, sizeof(*part));
	part->text = own->name;
	struct conf_string *string = arena_alloc(a, sizeof(*string));
	*string = (struct conf_string){.part = part, .nparts = 1, .pos = own->pos};
	struct conf_param p = {
	    .name = param_get(id)->name,
	    .id = id,
	    .value = string,
	    .nvalues = 1,
	    .pos = own->pos,
	};
	apply(r, &p, record);
}

static void apply_record(struct resolver *r, size_t i)
{
	const struct conf_record *record = &r->conf->record[i];
	for (size_t k = 0; k < record->nparams; k++) {
		struct conf_param p = record->param[k];
		/* The first word about the name on the command line replaces what is implied. */
		if (record->argument && (p.id == P_NAME || p.id == P_JID))
			p.append = false;
		apply(r, &p, i);
	}
}

static void assemble(struct resolver *r, size_t own)
{
	const struct conf *c = r->conf;
	bool done = false;

	bool named = !c->record[own].argument || *r->jail->block;

	/* "NAME { … }" says name = NAME, or jid = NUMBER, and nothing may say otherwise. */
	if (named) {
		apply_name(r, conf_name_is_jid(r->jail->block) ? P_JID : P_NAME, own);
		r->entry[0].immutable = !c->record[own].argument;
	}
	for (size_t i = c->record[own].wildcards; i < c->nwildcards; i++) {
		size_t w = c->wildcard[i];
		if (c->record[w].unit != c->record[own].unit)
			break;
		if (!done && w > own) {
			apply_record(r, own);
			done = true;
		}
		if (conf_wildcard_match(c->record[w].name, r->jail->block))
			apply_record(r, w);
	}
	if (!done)
		apply_record(r, own);
	if (named && !r->slot[P_NAME])
		apply_name(r, P_NAME, own);
}

/* What $name means: a variable or parameter spelt exactly so, with at least one value. */
static struct entry *lookup(struct resolver *r, const char *name)
{
	bool negated;
	struct entry *e = find_entry(r, name, PARAM_NONE);
	if (!e)
		e = find_entry(r, name, param_find(name, &negated));
	return e && e->first && str_eq(e->name, name) ? e : NULL;
}

static bool expand(struct resolver *r, struct entry *e, unsigned depth);

/* Only what the configuration itself sets can be used: not the environment. */
static void not_found(struct resolver *r, const struct entry *e, const struct conf_string *s,
		      const char *name)
{
	autofree const char **names = mem_alloc((r->nentries + 1) * sizeof(*names));
	struct str remedy = {0};
	size_t n = 0;
	bool negated;
	for (size_t i = 0; i < r->nentries; i++)
		if (r->entry[i].first && !r->entry[i].negated)
			names[n++] = r->entry[i].name;
	const char *near = str_nearest(name, names, n);
	if (near)
		str_addf(&remedy, "did you mean \"%s\"?", near);
	else if (param_find(name, &negated))
		str_add(&remedy, "this parameter has no value here");
	else if (e->id != PARAM_NONE && param_get(e->id)->type == PT_COMMANDS)
		str_addf(&remedy, "set it: $%s = \"…\"; or write \\$%s if it is the shell's", name,
			 name);
	else
		str_addf(&remedy, "set it: $%s = \"…\";", name);
	diag_error_of(r->diags, r->jail->block, s->pos, "%s: variable \"%s\" not found (%s)",
		      e->name, name, str_text(&remedy));
	str_done(&remedy);
}

/* Makes sure that every variable of the string has its values; how many values the string gives, or
 * 0 where a fault was told. */
static size_t prepare(struct resolver *r, const struct entry *e, const struct conf_string *s,
		      unsigned depth)
{
	const char *jail = r->jail->block;
	size_t n = 1;
	for (size_t i = 0; i < s->nparts; i++) {
		if (!s->part[i].variable)
			continue;
		const char *name = s->part[i].text;
		struct entry *target = lookup(r, name);
		if (!target) {
			not_found(r, e, s, name);
			return 0;
		}
		if (target->state == BUSY) {
			diag_error_of(r->diags, jail, s->pos,
				      "%s: variable loop (its value leads back to \"$%s\")", name,
				      name);
			return 0;
		}
		if (target->state == BAD || !expand(r, target, depth + 1))
			return 0;
		if (target->nvalues != 1 && s->nparts != 1) {
			diag_error_of(r->diags, jail, s->pos,
				      "%s: array cannot be substituted inline (\"$%s\" has %zu "
				      "values; \"$%s\" alone stands for all of them)",
				      e->name, name, target->nvalues, name);
			return 0;
		}
		n = target->nvalues;
	}
	return n;
}

static const char *concatenate(struct resolver *r, const struct conf_string *s)
{
	size_t len = 0;
	for (size_t i = 0; i < s->nparts; i++) {
		const struct conf_part *p = &s->part[i];
		len += strlen(p->variable ? lookup(r, p->text)->value->text : p->text);
	}
	r->bytes += len;
	if (r->bytes > MAX_TEXT)
		return NULL;
	char *text = arena_alloc(&r->jail->arena, len + 1), *to = text;
	for (size_t i = 0; i < s->nparts; i++) {
		const struct conf_part *p = &s->part[i];
		to = stpcpy(to, p->variable ? lookup(r, p->text)->value->text : p->text);
	}
	return text;
}

/* Appends what the string gives to the entry, whose array has room. */
static bool add_values(struct resolver *r, struct entry *e, const struct conf_string *s)
{
	if (s->nparts == 1 && s->part->variable) {
		const struct entry *list = lookup(r, s->part->text);
		for (size_t i = 0; i < list->nvalues; i++)
			e->value[e->nvalues++] = (struct conf_value){list->value[i].text, s->pos};
		return true;
	}
	const char *text = s->nparts == 1 ? s->part->text : concatenate(r, s);
	if (!text) {
		diag_error_of(r->diags, r->jail->block, s->pos,
			      "%s: variables make this longer than %d MiB", e->name,
			      MAX_TEXT / 1024 / 1024);
		return false;
	}
	e->value[e->nvalues++] = (struct conf_value){text, s->pos};
	return true;
}

static bool expand_values(struct resolver *r, struct entry *e, unsigned depth)
{
	size_t total = 0;
	bool ok = true;
	for (const struct segment *s = e->first; s; s = s->next)
		for (size_t i = 0; i < s->n; i++) {
			size_t n = prepare(r, e, &s->string[i], depth);
			ok &= n != 0;
			total += n;
		}
	if (!ok)
		return false;
	r->nvalues += total;
	if (r->nvalues > MAX_VALUES) {
		diag_error_of(r->diags, r->jail->block, e->pos,
			      "%s: variables make more than %d values", e->name, MAX_VALUES);
		return false;
	}
	e->value = arena_alloc(&r->jail->arena, total * sizeof(*e->value));
	for (const struct segment *s = e->first; s; s = s->next)
		for (size_t i = 0; i < s->n; i++)
			if (!add_values(r, e, &s->string[i]))
				return false;
	return true;
}

/* Replaces the variables of an entry, those it needs first. */
static bool expand(struct resolver *r, struct entry *e, unsigned depth)
{
	if (e->state != FRESH)
		return e->state == DONE;
	if (depth > MAX_DEPTH) {
		diag_error_of(r->diags, r->jail->block, e->pos,
			      "%s: more than %d variables inside one another", e->name, MAX_DEPTH);
		e->state = BAD;
		return false;
	}
	e->state = BUSY;
	bool ok = expand_values(r, e, depth);
	e->state = ok ? DONE : BAD;
	return ok;
}

/* The values as a list: empty ones left out, addresses split at commas. */
static void make_items(struct conf_jail *j, struct conf_setting *s)
{
	bool split = param_get(s->id)->type == PT_ADDRS;
	bool words = s->id == P_COMMAND && s->argument;
	size_t n = 0;
	for (size_t i = 0; i < s->nvalues; i++) {
		n++;
		for (const char *t = s->value[i].text; split && (t = strchr(t, ',')); t++)
			n++;
	}
	struct conf_value *item = arena_alloc(&j->arena, n * sizeof(*item));
	for (size_t i = 0; i < s->nvalues; i++) {
		const char *t = s->value[i].text;
		if (!split || !strpbrk(t, ", \t")) {
			if (*t || words)
				item[s->nitems++] = s->value[i];
			continue;
		}
		for (size_t len; *t; t += len + (t[len] == ',')) {
			len = strcspn(t, ",");
			size_t from = strspn(t, " \t"), to = len;
			while (to > from && (t[to - 1] == ' ' || t[to - 1] == '\t'))
				to--;
			if (from < to)
				item[s->nitems++] = (struct conf_value){
				    arena_strndup(&j->arena, t + from, to - from), s->value[i].pos};
		}
	}
	s->item = item;
}

/* False: the parameter is to be left out. */
static bool check_known(struct resolver *r, const struct entry *e, enum conf_purpose purpose)
{
	if (e->id || purpose == CONF_FOR_LIST)
		return true;
	if (purpose == CONF_FOR_STOP)
		return false;
	const char *near = param_suggest(e->name);
	if (str_prefix(e->name, "allow."))
		diag_warn_once(r->diags, e->pos, "%s is not known here and allows nothing%s%s%s",
			       e->name, near ? " (did you mean \"" : "", near ? near : "",
			       near ? "\"?)" : "");
	else
		diag_error_of(r->diags, r->jail->block, e->pos, "unknown parameter \"%s\"%s%s%s",
			      e->name, near ? " (did you mean \"" : " (jail.conf(5) lists them",
			      near ? near : "", near ? "\"?)" : ")");
	return false;
}

static void make_settings(struct resolver *r, enum conf_purpose purpose)
{
	struct conf_jail *j = r->jail;
	j->setting = arena_alloc(&j->arena, r->nentries * sizeof(*j->setting));
	for (size_t i = 0; i < r->nentries; i++) {
		const struct entry *e = &r->entry[i];
		if (e->variable || e->state == BAD || !check_known(r, e, purpose))
			continue;
		j->setting[j->nsettings++] = (struct conf_setting){
		    .id = e->id,
		    .name = e->name,
		    .negated = e->negated,
		    .argument = e->argument,
		    .value = e->value,
		    .nvalues = e->nvalues,
		    .pos = e->pos,
		};
	}
	for (size_t i = 0; i < j->nsettings; i++) {
		struct conf_setting *s = &j->setting[i];
		make_items(j, s);
		if (!is_keyed(s->id) || str_eq(s->name, param_get(s->id)->name))
			j->by_id[s->id] = s;
	}
	j->by_id[PARAM_NONE] = NULL;
}

static void set_identity(struct conf_jail *j)
{
	const char *name = conf_string(j, P_NAME), *jid = conf_string(j, P_JID);
	j->name = name ? name : jid ? jid : "";
	if (*j->name)
		j->path = arena_printf(&j->arena, "/var/lib/newgate/roots/%s", j->name);
	long n = conf_int(j, P_JID);
	j->jid = n > 0 && n <= INT_MAX ? (int)n : 0;
}

int conf_resolve(const struct conf *c, const char *name, enum conf_purpose purpose,
		 struct conf_jail *out, struct diags *d)
{
	*out = (struct conf_jail){0};
	const size_t *own = map_get(&c->by_name, name, strlen(name));
	if (!own)
		return -ENOENT;
	const struct conf_record *record = &c->record[*own];
	unsigned before = d->errors;
	out->block = record->name;
	out->pos = record->pos;
	out->argument = record->argument;

	struct resolver r = {.conf = c, .jail = out, .diags = d};
	assemble(&r, *own);
	for (size_t i = 0; i < r.nentries; i++)
		expand(&r, &r.entry[i], 0);
	make_settings(&r, purpose);
	free(r.entry);
	map_done(&r.named);

	set_identity(out);
	conf_check_values(out, purpose, d->errors == before, d);
	if (d->errors == before)
		return 0;
	conf_jail_done(out);
	return -EINVAL;
}

void conf_jail_done(struct conf_jail *j)
{
	arena_done(&j->arena);
	*j = (struct conf_jail){0};
}
