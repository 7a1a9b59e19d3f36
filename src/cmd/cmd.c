/* What every verb says in the same way. */
#include "cmd/cmd.h"

#include <stdarg.h>
#include <stdio.h>
#include "base/str.h"

const char *cmd_root = "";
const char *cmd_program = "newgate";

void warn_msg(const char *fmt, ...)
{
	/* One write, so that lines of jails that start side by side do not mix. */
	autodone(str_done) struct str line = {0};
	va_list ap;

	str_addf(&line, "%s: ", cmd_program);
	va_start(ap, fmt);
	str_vaddf(&line, fmt, ap);
	va_end(ap);
	str_addc(&line, '\n');
	fflush(stdout);
	fputs(str_text(&line), stderr);
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
	printf("\n%s.\n", c->summary);
	if (c->help && *c->help)
		printf("\n%s", c->help);
}
