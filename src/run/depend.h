/* In which order jails start and stop: a graph, and how far each of them has come. Pure.
 *
 * Each jail may have two stages, down and up (a restart has both). A jail may go up when those it
 * depends on are up (a full edge) or made (a light one: the parent of a.b is a); down when those
 * that depend on it are down. */
#ifndef NG_RUN_DEPEND_H
#define NG_RUN_DEPEND_H

#include <stdbool.h>
#include <stddef.h>

enum depend_level { DEPEND_WAITING, DEPEND_DOWN, DEPEND_MADE, DEPEND_UP };

struct depend_node {
	enum depend_level level;
	bool goes_down, goes_up; /* its stages */
	bool failed;
	struct depend_edge {
		size_t to; /* the jail that is depended on */
		bool light;
	} * edge;
	size_t nedges;
	size_t *from; /* those that depend on it */
	size_t nfrom;
};
struct depend {
	struct depend_node *v;
	size_t n;
};
/* Zero-initialise. Returns the node's index. */
size_t depend_add(struct depend *d, bool goes_down, bool goes_up);
void depend_edge(struct depend *d, size_t from, size_t to, bool light);
void depend_done(struct depend *d);

enum depend_verdict {
	DEPEND_READY,
	DEPEND_NOT_YET,
	DEPEND_NEVER /* what it waits for has failed */
};
/* May the jail begin its next stage (down before up)? */
enum depend_verdict depend_may(const struct depend *d, size_t i);
/* Is the jail on a circle of edges? Then none of those on it can ever go up. */
bool depend_in_loop(const struct depend *d, size_t i);

#endif
