/* The table itself: rules.nft, loaded where it is missing or not this one. */
#ifndef NG_NET_RULES_H
#define NG_NET_RULES_H

#include "net/net.h"

/* made: "IF ADDR/LEN" of every gateway, sorted (range.h). drop4, drop6: newgate itself switched
 * forwarding on, so that what is not of jails is not forwarded. */
struct rules_facts {
	const struct strv *made;
	bool drop4, drop6;
	struct firewall *pf; /* a pf.conf is the firewall; or NULL */
};
/* pf.c: opens pf, which is on; its lock is taken before that of the ranges. */
int pf_open(struct net *n, struct firewall *pf, struct ng_err *err) MUST_CHECK;
/* Makes ready what is to be loaded, where that was not done. */
int pf_ready(struct net *n, const struct rules_facts *f, struct ng_err *err) MUST_CHECK;
/* Loads the table, with the elements of every running jail, unless it is there already (or *loaded
 * is set: then in any case). Sets *loaded. */
int rules_ready(struct net *n, const struct rules_facts *f, bool *loaded,
		struct ng_err *err) MUST_CHECK;

/* Is the table there, and this one? 1, 0. */
int rules_are_loaded(struct net *n, const struct rules_facts *f, struct ng_err *err) MUST_CHECK;

/* For which families the table that is loaded stands in for a host that does not forward: "", "4",
 * "46". */
int rules_switched(struct net *n, char *text, size_t size, struct ng_err *err) MUST_CHECK;

/* What is not as it was left, a sentence each: the table, its rules, the running jails' elements.
 * Changes nothing. */
int rules_look(struct net *n, const struct rules_facts *f, struct strv *faults,
	       struct ng_err *err) MUST_CHECK;
/* rules_look.c: its last part. */
int rules_look_elements(struct net *n, struct strv *faults, struct ng_err *err) MUST_CHECK;

/* Adds the elements among the "elem …" lines of `add` and deletes those of `del` (either may be
 * NULL), in one transaction. link: of the jail whose they are. -EEXIST: another jail has that port,
 * and err names it. */
int rules_change(struct net *n, const struct strv *del, const struct strv *add, const char *link,
		 struct ng_err *err) MUST_CHECK;
/* The line of the record's undo, behind "elem ", that has the key of this one; or NULL. */
const char *rules_claimed(const struct record *r, const char *line);
/* Deletes as many as are there, one by one. */
int rules_delete_each(struct net *n, const struct strv *del, struct ng_err *err);

/* Ends the connections of these addresses. */
int rules_flush_addresses(struct net *n, const struct ip *ips, size_t nips, struct ng_err *err);
/* Ends the connections that the elements (lines as above) permitted. */
int rules_flush_elements(struct net *n, const struct strv *lines, struct ng_err *err);

#endif
