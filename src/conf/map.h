/* A hash map whose keys are bytes kept elsewhere: names of jails, addresses, files. It makes every
 * look-up over a whole configuration one step, so that 10,000 jails cost 10,000 steps. */
#ifndef NG_CONF_MAP_H
#define NG_CONF_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zero-initialise. */
struct map {
	struct map_slot *slot;
	size_t cap, n; /* cap: 0 or a power of two */
};

uint32_t map_hash(const void *key, size_t len);
/* Where the value of the key is kept, NULL where there is none. Valid until the next map_put. */
size_t *map_get(const struct map *m, const void *key, size_t len);
/* Puts the key with `value`, unless it is there already: then returns where its value is, else
 * NULL. The bytes of the key must outlive the map. */
size_t *map_put(struct map *m, const void *key, size_t len, size_t value);
void map_done(struct map *m);

#endif
