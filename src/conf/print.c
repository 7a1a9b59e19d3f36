#include "conf/print.h"

#include <string.h>

#include "conf/token.h"

/* Text inside of double quotes. */
static void add_escaped(struct str *out, const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		if (*p == '"' || *p == '\\' || *p == '$')
			str_addf(out, "\\%c", *p);
		else if (*p == '\n')
			str_add(out, "\\n");
		else if (*p == '\t')
			str_add(out, "\\t");
		else if (*p < ' ' || *p == 0x7f)
			str_addf(out, "\\%03o", *p);
		else
			str_addc(out, (char)*p);
	}
}

static void add_quoted(struct str *out, const char *text)
{
	str_addc(out, '"');
	add_escaped(out, text);
	str_addc(out, '"');
}

void conf_print_value(struct str *out, const char *text)
{
	if (token_is_bare(text))
		str_add(out, text);
	else
		add_quoted(out, text);
}

/* The name of a block or parameter: one piece. */
static void add_name(struct str *out, const char *name)
{
	if (token_is_piece(name))
		str_add(out, name);
	else
		add_quoted(out, name);
}

/* ${name}: all that is not a letter, digit, "_", "." or "-" as an octal escape. */
static void add_variable(struct str *out, const char *name)
{
	static const char plain[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
	str_add(out, "${");
	for (const unsigned char *p = (const unsigned char *)name; *p; p++)
		str_addf(out, strchr(plain, *p) ? "%c" : "\\%03o", *p);
	str_addc(out, '}');
}

static void add_string(struct str *out, const struct conf_string *s)
{
	bool quoted = s->quoted;
	for (size_t i = 0; i < s->nparts; i++)
		quoted |= !s->part[i].variable && !token_is_bare(s->part[i].text);
	if (quoted)
		str_addc(out, '"');
	for (size_t i = 0; i < s->nparts; i++) {
		const struct conf_part *p = &s->part[i];
		if (p->variable)
			add_variable(out, p->text);
		else if (quoted)
			add_escaped(out, p->text);
		else
			str_add(out, p->text);
	}
	if (quoted)
		str_addc(out, '"');
}

static void add_param(struct str *out, const char *indent, const struct conf_param *p)
{
	str_add(out, indent);
	if (p->variable)
		add_variable(out, p->name);
	else
		add_name(out, p->name);
	for (size_t i = 0; i < p->nvalues; i++) {
		str_add(out, i ? ", " : p->append ? " += " : " = ");
		add_string(out, &p->value[i]);
	}
	str_add(out, ";\n");
}

void conf_print(struct str *out, const struct conf *c)
{
	for (size_t i = 0; i < c->nrecords; i++) {
		const struct conf_record *r = &c->record[i];
		if (!r->global) {
			add_name(out, r->name);
			str_add(out, " {\n");
		}
		for (size_t k = 0; k < r->nparams; k++)
			add_param(out, r->global ? "" : "\t", &r->param[k]);
		if (!r->global)
			str_add(out, "}\n");
	}
}

/* Does the name of the block say it already? */
static bool is_implied(const struct conf_jail *j, const struct conf_setting *s)
{
	return (s->id == P_NAME || s->id == P_JID) && s->nvalues == 1 &&
	       str_eq(s->value->text, j->block);
}

void conf_print_jail(struct str *out, const struct conf_jail *j)
{
	add_name(out, j->block);
	str_add(out, " {\n");
	for (size_t i = 0; i < j->nsettings; i++) {
		const struct conf_setting *s = &j->setting[i];
		if (is_implied(j, s))
			continue;
		str_addc(out, '\t');
		add_name(out, s->name);
		for (size_t k = 0; k < s->nvalues; k++) {
			str_add(out, k ? ", " : " = ");
			conf_print_value(out, s->value[k].text);
		}
		str_add(out, ";\n");
	}
	str_add(out, "}\n");
}

/* As jail(8) quotes in this listing: what is empty or has a quote or blank in it. */
static void add_listed(struct str *out, const char *text)
{
	if (*text && !strpbrk(text, "\"' \t")) {
		str_add(out, text);
		return;
	}
	char quote = strchr(text, '"') && !strchr(text, '\'') ? '\'' : '"';
	str_addc(out, quote);
	for (; *text; text++) {
		if (*text == '\\' || *text == quote)
			str_addc(out, '\\');
		str_addc(out, *text);
	}
	str_addc(out, quote);
}

void conf_print_line(struct str *out, const struct conf_jail *j, const char *sep)
{
	bool any = false;
	for (size_t i = 0; i < j->nsettings; i++) {
		const struct conf_setting *s = &j->setting[i];
		if (s->id == P_JID)
			continue;
		if (any)
			str_add(out, sep);
		any = true;
		str_add(out, s->name);
		for (size_t k = 0; k < s->nvalues; k++) {
			str_addc(out, k ? ',' : '=');
			add_listed(out, s->value[k].text);
		}
	}
}
