/* What every verb says in the same way. */
#include "cmd/cmd.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include "base/mem.h"
#include "base/str.h"

const char *cmd_root = "";
const char *cmd_program = "newgate";

void warn_msg(const char *fmt, ...)
{
	/* One write, so that lines of jails that start side by side do not mix. */
	autodone(str_done) struct str text = {0}, line = {0};
	va_list ap;

	va_start(ap, fmt);
	str_vaddf(&text, fmt, ap);
	va_end(ap);
	str_addf(&line, "%s: ", cmd_program);
	/* Names and values come from command lines and files, and may hold anything. */
	for (const char *p = str_text(&text), *end; p; p = end) {
		autofree char *piece = NULL;
		end = strchr(p, '\n');
		piece = end ? mem_strndup(p, (size_t)(end++ - p)) : mem_strdup(p);
		str_add_visible(&line, piece);
		str_addc(&line, '\n');
	}
	fflush(stdout);
	fputs(str_text(&line), stderr);
}

bool tell_diags(const struct diags *d, bool warnings)
{
	for (size_t i = 0; i < d->n; i++) {
		autofree char *text = diag_format(&d->v[i]);
		if (warnings || d->v[i].level == DIAG_ERROR)
			warn_msg("%s", text);
	}
	if (d->errors && diags_dropped(d))
		warn_msg("… and %zu more", diags_dropped(d));
	return d->errors == 0;
}

/* Each form of the arguments on a line of its own, below the first. */
static void print_usage(FILE *f, const struct cmd *c)
{
	const char *program = help_program(c);
	const char *lead = "usage:";

	for (const char *p = c->args;; p++) {
		size_t n = strcspn(p, "\n");

		fprintf(f, "%-6s %s%s%.*s\n", lead, program, n ? " " : "", (int)n, p);
		lead = "";
		p += n;
		if (*p == '\0')
			break;
	}
}

int usage(const struct cmd *c)
{
	print_usage(stderr, c);
	return 1;
}

void help_page(const struct cmd *c)
{
	print_usage(stdout, c);
	printf("\n%c%s.\n", toupper((unsigned char)*c->summary), c->summary + 1);
	if (c->help && *c->help)
		printf("\n%s", c->help);
}
