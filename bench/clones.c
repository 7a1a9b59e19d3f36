/* What cloning a template and destroying the clone take in process.
 *
 *   clones ROOT TEMPLATE TIMES    ROOT as -R has it; prints "CLONE DESTROY" in ms, medians */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "base/mem.h"
#include "base/str.h"
#include "store/store.h"

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int smaller(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static int one(struct store *s, const char *template, double *clone, double *destroy,
	       struct ng_err *err)
{
	autodone(str_done) struct str path = {0};
	str_addf(&path, "%s/clone", s->root);
	double begin = now();
	int r = store_clone(s, template, "clone", str_text(&path), NULL, err);
	if (r < 0)
		return r;
	double cloned = now();
	r = store_destroy(s, "clone", NULL, err);
	*clone = cloned - begin;
	*destroy = now() - cloned;
	return r;
}

int main(int argc, char **argv)
{
	autodone(store_done) struct store s = {0};
	struct ng_err err = {0};
	if (argc != 4 || atoi(argv[3]) < 1)
		return 64;
	size_t n = (size_t)atoi(argv[3]);
	autofree double *clone = mem_alloc(n * sizeof *clone);
	autofree double *destroy = mem_alloc(n * sizeof *destroy);
	int r = store_open(&s, argv[1], &err);
	for (size_t i = 0; i < n && r == 0; i++)
		r = one(&s, argv[2], &clone[i], &destroy[i], &err);
	if (r < 0) {
		fprintf(stderr, "clones: %s\n", err.text);
		return 1;
	}
	qsort(clone, n, sizeof *clone, smaller);
	qsort(destroy, n, sizeof *destroy, smaller);
	printf("%.3f %.3f\n", clone[n / 2], destroy[n / 2]);
	return 0;
}
