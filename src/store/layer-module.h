/* Layers of images: archives of which both sides of the decompressor are summed. A part of
 * newgate-archive.so. */
#ifndef NG_STORE_LAYER_MODULE_H
#define NG_STORE_LAYER_MODULE_H

#include "store/archive-module.h"

#define LAYER_SYMBOL "newgate_layer"
#define LAYER_SUM_HEX 65

struct layer_module {
	/* *archive is for next(), data(), xattr() and error() of struct archive_module alone. NULL:
	 * out of memory. */
	void *(*open)(int fd, void **archive);
	/* Behind the last entry: SHA-256 of the whole file as it is stored, and as it is without its
	 * compression. 0, or -1 with fault() told. */
	int (*sums)(void *l, char stored[static LAYER_SUM_HEX], char plain[static LAYER_SUM_HEX]);
	const char *(*fault)(void *l);
	void (*close)(void *l);
};

#endif
