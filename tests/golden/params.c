/* Prints the table of parameters as jail.conf(5) shows it. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "conf/param.h"

#define WIDTH 76

/* Filled lines. mandoc's lint wants a macro for the name of that system; an escape does as well. */
static void text(const char *s)
{
	size_t column = 0;
	while (*s) {
		size_t n = strcspn(s, " ");
		bool system = n >= 7 && memcmp(s, "FreeBSD", 7) == 0;
		if (column)
			column += (size_t)printf("%s", column + 1 + n > WIDTH ? "\n" : " ");
		if (column && column + n > WIDTH)
			column = 0;
		column += (size_t)(system ? printf("Free\\&BSD%.*s", (int)n - 7, s + 7)
					  : printf("%.*s", (int)n, s));
		s += n + strspn(s + n, " ");
	}
	puts("");
}

static void row(const struct param *p)
{
	printf(".It Va %s Pq %s", p->name, param_type_text(p->type));
	if (p->def)
		printf(" , default %s", p->def);
	puts("");
	if (p->flags & PF_OURS)
		puts("newgate's own:");
	text(p->text);
}

int main(void)
{
	static const char *const title[] = {
	    [HONOURED] = "Honoured",
	    [WITHOUT_EFFECT] = "Accepted without effect",
	    [REFUSED] = "Refused",
	};
	for (enum param_class class = HONOURED; class <= REFUSED; class ++) {
		printf(".Ss %s\n.Bl -tag -width Ds\n", title[class]);
		for (unsigned id = PARAM_NONE + 1; id < PARAM_COUNT; id++)
			if (param_get(id)->class == class && !(param_get(id)->flags & PF_READONLY))
				row(param_get(id));
		puts(".El");
	}
	puts(".Ss Read only");
	puts("These can be asked for by\n.Xr jls 8\nand not be set:");
	bool first = true;
	for (unsigned id = PARAM_NONE + 1; id < PARAM_COUNT; id++)
		if (param_get(id)->flags & PF_READONLY) {
			printf("%s.Va %s", first ? "" : " ,\n", param_get(id)->name);
			first = false;
		}
	puts(" .");
	return 0;
}
