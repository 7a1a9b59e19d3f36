/* Reads a pf.conf and prints what it means: the warnings, then the rulesets as pfctl shows them. Where
 * there are faults, prints those and exits 1.
 *
 * With -o it prints what that becomes for nftables instead, with -n the text for nft(8).
 *
 * The first lines of a file may be comments "#: -D name=value" and "#: -a anchor". Files that it
 * names are looked for beside it. What is printed must mean the same when it is read again; that is
 * checked on the way (exit 2). */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "pf/nft.h"
#include "pfhost.h"

/* Files of this host are no part of a test: they are empty. */
static int read_beside(void *arg UNUSED, const char *path, char **text, size_t *len)
{
	if (*path != '/')
		return file_read(path, text, len);
	*text = mem_strdup("");
	*len = 0;
	return 0;
}

static void show(const struct diags *d)
{
	for (size_t i = 0; i < d->n; i++) {
		autofree char *text = diag_format(&d->v[i]);
		puts(text);
	}
}

/* What a ruleset is called between the others. */
static void print_all(struct str *out, const struct pf *pf)
{
	for (size_t i = 0; i < pf->nrulesets; i++) {
		const char *path = pf->ruleset[i].path, *slash = strrchr(path, '/');
		if ((slash ? slash + 1 : path)[0] == '_')
			continue; /* within braces */
		struct str part = {0};
		pf_print(&part, pf, path, PF_PRINT_ALL);
		if (*path && part.len)
			str_addf(out, "# %s\n", path);
		str_add(out, str_text(&part));
		str_done(&part);
	}
}

/* Reads each ruleset's text into one again. */
static bool same_again(const struct pf *pf, const struct pf_reader *r, const char *expected)
{
	struct pf again = {0};
	struct diags d = {0};
	struct str out = {0};

	for (size_t i = 0; i < pf->nrulesets; i++) {
		const char *path = pf->ruleset[i].path, *slash = strrchr(path, '/');
		struct pf_reader inner = *r;
		struct str part = {0};
		if ((slash ? slash + 1 : path)[0] == '_')
			continue;
		pf_print(&part, pf, path, PF_PRINT_ALL);
		inner.anchor = path;
		pf_read(&again, &inner, "printed", str_text(&part), part.len, &d);
		str_done(&part);
	}
	pf_finish(&again, r, &d);
	print_all(&out, &again);
	bool ok = !d.errors && str_eq(str_text(&out), expected);
	if (!ok) {
		printf("NOT THE SAME AGAIN:\n%s--- gives\n%s", expected, str_text(&out));
		show(&d);
	}
	str_done(&out);
	diags_done(&d);
	pf_done(&again);
	return ok;
}

/* "#: -D a=b" and "#: -a x": as arguments of pfctl. */
static void read_arguments(char *text, struct pf_reader *r, const char **defines)
{
	size_t n = 0;
	for (char *line = text; str_prefix(line, "#: -");) {
		char *end = strchrnul(line, '\n'), *value = line + 6;
		bool define = line[4] == 'D';
		if (*end)
			*end++ = '\0';
		if (define && n < 8)
			defines[n++] = value;
		else
			r->anchor = value;
		line = end;
	}
	r->define = defines;
}

/* What it becomes for nftables: an operation a line, or the text for nft(8). */
static int show_lowered(const struct pf *pf, const struct pf_host *host, bool nft)
{
	struct lower l = {0};
	struct diags d = {0};
	struct str out = {0};

	pf_lower(&l, pf, host, &d);
	if (nft)
		pf_nft(&out, &l, true);
	else
		lower_print(&out, &l);
	if (!nft)
		show(&d);
	if (!d.errors)
		fputs(str_text(&out), stdout);
	int status = d.errors ? 1 : 0;
	str_done(&out);
	lower_done(&l);
	diags_done(&d);
	return status;
}

int main(int argc, char **argv)
{
	bool ops = argc == 3 && str_eq(argv[1], "-o"), nft = argc == 3 && str_eq(argv[1], "-n");
	const char *name = argv[argc - 1];
	struct pf pf = {0};
	struct diags d = {0};
	struct str out = {0};
	const char *defines[9] = {0};
	autofree char *text = NULL, *arguments = NULL;
	size_t len;

	if (argc < 2 || file_read(name, &text, &len) < 0)
		return 2;
	struct pf_reader r = {.read = read_beside, .host = pfhost()};
	arguments = mem_strdup(text);
	read_arguments(arguments, &r, defines);
	pf_read(&pf, &r, name, text, len, &d);
	pf_finish(&pf, &r, &d);
	if (!nft)
		show(&d);
	int status = d.errors ? 1 : 0;
	if (!status && (ops || nft)) {
		status = show_lowered(&pf, r.host, nft);
	} else if (!status) {
		print_all(&out, &pf);
		fputs(str_text(&out), stdout);
		if (!same_again(&pf, &r, str_text(&out)))
			status = 2;
	}
	str_done(&out);
	diags_done(&d);
	pf_done(&pf);
	return status;
}
