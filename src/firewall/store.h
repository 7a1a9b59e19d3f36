/* The files below /run/newgate/pf, see kept.h. Private to this folder. */
#ifndef NG_FIREWALL_STORE_H
#define NG_FIREWALL_STORE_H

#include "firewall/kept.h"
#include "sys/nft.h"

#define PF_DIR "pf"
#define PF_RULES PF_DIR "/rules"
#define PF_TABLES PF_DIR "/tables"
#define PF_ORIGINS PF_DIR "/origins"
#define PF_HASH PF_DIR "/hash"
#define PF_SWITCH PF_DIR "/switch"
#define PF_LOCALNET PF_DIR "/localnet"
#define PF_LOCK PF_DIR "/lock"
#define PF_BEFORE PF_DIR "/before"

int store_lock(struct state *s, struct ng_err *err) MUST_CHECK; /* the descriptor that holds it */
int store_put(struct state *s, const char *name, const struct str *text,
	      struct ng_err *err) MUST_CHECK;
/* before: those that the last load replaced. Nothing where there are none. */
int store_read(struct state *s, bool before, struct kept *k, struct kept_tables *t,
	       struct ng_err *err) MUST_CHECK;
int store_read_origins(struct state *s, struct strv *out, struct ng_err *err) MUST_CHECK;
/* What was there becomes "before", if it is another. */
int store_write(struct state *s, const struct kept *k, const struct kept_tables *t,
		const struct strv *origins, struct ng_err *err) MUST_CHECK;
int store_write_tables(struct state *s, const struct kept_tables *t, struct ng_err *err) MUST_CHECK;
/* Exactly these interfaces take packets for 127.0.0.1 from outside by our will. */
int store_localnet(struct state *s, const struct strv *want, struct ng_err *err) MUST_CHECK;

/* The overload set of table entries as a statement for nft(8). */
void store_add_elements(struct str *out, const char *set, const struct nft_elems *all, int af);

#endif
