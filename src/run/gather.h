/* Everything that is configured and everything that runs, side by side: what newgate up compares
 * and newgate explain walks through. Only looks: nothing is leased, made or changed. */
#ifndef NG_RUN_GATHER_H
#define NG_RUN_GATHER_H

#include "conf/map.h"
#include "net/net.h"
#include "jail/privs.h"

struct gather_jail {
	const char *name;  /* of its record, else as it will be */
	const char *block; /* NULL: no file describes it */
	struct conf_jail conf;
	struct strv param; /* of conf, as a record would keep them */
	struct privs privs;
	struct net_jail net; /* of conf, by the leases there are */
	bool planned;        /* net is known; else fault says why it is not, or nothing: its
				addresses will be given at its start */
	struct ng_err fault;
	struct record *rec; /* NULL: it does not run */
	struct strv lost;   /* of its link: what net_look_jail says */
};

struct gather {
	struct state *state;
	const struct conf *conf;
	struct net net;
	struct gather_jail *jail; /* those of the files in their order, then those that only run */
	size_t n;
	struct map by_name;
	struct record *rec;
	size_t nrecs;
	bool running, six; /* some jail with a link runs; one with an IPv6 address */
	struct conf kept;  /* of records that no file describes any more */
	struct diags diags;
};
/* The configuration was checked. Zero-initialise; gather_done in any case. */
int gather(struct gather *g, struct state *s, const struct conf *c, const struct rcconf *rc,
	   struct ng_err *err) MUST_CHECK;
void gather_done(struct gather *g);
/* By its block's name or its own; NULL. */
struct gather_jail *gather_find(const struct gather *g, const char *name);
/* What the jail's link and routes lack, for those that run. */
int gather_look(struct gather *g, struct ng_err *err) MUST_CHECK;

#endif
