/* newgate help: the verbs, or one verb's page. */
#include <stdio.h>
#include "base/mem.h"
#include "base/str.h"
#include "cmd/cmd.h"

const struct cmd *cmd_find(const char *verb)
{
	for (size_t i = 0; commands[i]; i++)
		if (str_eq(commands[i]->name, verb))
			return commands[i];
	return NULL;
}

/* A link is called by its own name in the manual pages, however it was reached. */
const char *help_program(const struct cmd *c)
{
	static char name[64];

	snprintf(name, sizeof(name), c->link ? "%s" : "newgate %s", c->name);
	return name;
}

int help_unknown(const char *verb)
{
	autofree const char **names = NULL;
	const char *near = NULL;
	size_t n = 0;

	for (; commands[n]; n++) {
		names = mem_grow(names, n, sizeof(*names));
		names[n] = commands[n]->name;
	}
	near = str_nearest(verb, names, n);
	if (near)
		warn_msg("unknown verb \"%s\" (did you mean \"%s\"?)", verb, near);
	else
		warn_msg("unknown verb \"%s\"; `newgate help` lists them", verb);
	return 1;
}

static void print_overview(void)
{
	int width = 0;

	for (size_t i = 0; commands[i]; i++)
		if ((int)strlen(commands[i]->name) > width)
			width = (int)strlen(commands[i]->name);
	printf("usage: newgate [-R DIR] VERB [ARGUMENT …]\n"
	       "       newgate --version\n\n"
	       "Runs FreeBSD's jail.conf(5) on Linux.\n\n");
	for (size_t i = 0; commands[i]; i++)
		printf("  %-*s  %s\n", width, commands[i]->name, commands[i]->summary);
	printf("\n-R DIR, or NEWGATE_ROOT=DIR in the environment, puts every file of newgate's\n"
	       "below DIR. `newgate help VERB` tells more, newgate(8) the whole.\n");
}

static int help_run(int argc, char **argv)
{
	const struct cmd *c = NULL;

	if (argc == 1) {
		print_overview();
		return 0;
	}
	if (argc > 2)
		return usage(&cmd_help);
	c = cmd_find(argv[1]);
	if (!c)
		return help_unknown(argv[1]);
	help_page(c);
	return 0;
}

const struct cmd cmd_help = {
    .name = "help",
    .run = help_run,
    .args = "[VERB]",
    .summary = "lists the verbs, or tells about one",
};
