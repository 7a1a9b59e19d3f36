/* What the two halves of stream-module.h share. */
#ifndef NG_STORE_STREAM_PRIVATE_H
#define NG_STORE_STREAM_PRIVATE_H

#include <inttypes.h>
#include <nettle/sha2.h>
#include "store/stream-module.h"

#define STREAM_TRAILER_FORMAT "newgate-stream-end 1\nbytes %020" PRIu64 "\nsha256 %s\n"

void stream_hex(struct sha256_ctx *sum, char hex[static STREAM_SUM_HEX]);

void *stream_reader_open(int fd, void **archive);
int stream_reader_check(void *r, char hex[static STREAM_SUM_HEX]);
const char *stream_reader_fault(void *r);
void stream_reader_close(void *r);

#endif
