/* What adding and removing a redirect takes in process: one element of map rdr4 of table
 * `inet newgate`, a transaction each, beside 0, 1,000 and 10,000 others.
 *
 * Prints "OTHERS ADD DELETE" a line, in µs, medians. To be run in a network namespace of its own,
 * with the table loaded. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "sys/nft.h"

#define TIMES 1001
#define BATCH 500

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* The redirect of one port to one of 250 jails. */
static struct nft_elem redirect(unsigned number)
{
	struct nft_elem e = {.set = "rdr4"};
	uint8_t proto = number & 1 ? IPPROTO_TCP : IPPROTO_UDP;
	uint16_t port = htons((uint16_t)(1024 + number / 2)), to = htons(8080);
	uint32_t jail = htonl(0x0a640002 + number % 250);
	nft_key(&e, &proto, sizeof proto);
	nft_key(&e, &port, sizeof port);
	nft_data(&e, &jail, sizeof jail);
	nft_data(&e, &to, sizeof to);
	return e;
}

static void commit(struct nl *nl, struct nl_batch *b)
{
	struct ng_err err = {0};
	if (nft_commit(nl, b, &err) < 0) {
		fprintf(stderr, "elements: %s\n", err.text);
		exit(1);
	}
}

static void fill(struct nl *nl, struct nl_batch *b, unsigned from, unsigned to)
{
	while (from < to) {
		nft_begin(b);
		for (unsigned i = 0; i < BATCH && from < to; i++) {
			struct nft_elem e = redirect(from++);
			nft_add(b, &e);
		}
		commit(nl, b);
	}
}

static int smaller(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void measure(struct nl *nl, struct nl_batch *b, unsigned others)
{
	static double add[TIMES], delete[TIMES];
	for (unsigned i = 0; i < TIMES; i++) {
		double begin = now();
		struct nft_elem e = redirect(others + i);
		nft_begin(b);
		nft_add(b, &e);
		commit(nl, b);
		double added = now();
		nft_begin(b);
		nft_delete(b, &e);
		commit(nl, b);
		add[i] = added - begin;
		delete[i] = now() - added;
	}
	qsort(add, TIMES, sizeof *add, smaller);
	qsort(delete, TIMES, sizeof *delete, smaller);
	printf("%u %.2f %.2f\n", others, add[TIMES / 2], delete[TIMES / 2]);
}

int main(void)
{
	static const unsigned others[] = {0, 1000, 10000};
	struct nl nl = {0};
	autodone(nl_batch_done) struct nl_batch b = {0};
	int r = nl_open(&nl, NETLINK_NETFILTER);
	if (r < 0) {
		fprintf(stderr, "elements: netlink: %s\n", strerror(-r));
		return 1;
	}
	unsigned there = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(others); i++) {
		fill(&nl, &b, there, others[i]);
		there = others[i];
		measure(&nl, &b, there);
	}
	nl_close(&nl);
	return 0;
}
