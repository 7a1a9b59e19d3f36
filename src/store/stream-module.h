/* Streams: what `newgate export` writes. The part of newgate-archive.so that knows about tar, zstd
 * and SHA-256; what is in a stream is in stream.h.
 *
 * A stream is a tar archive (pax), its end and one more block of STREAM_TRAILER bytes that archivers
 * do not look at; all of that plain or compressed by zstd(1). The block is text, padded with
 * newlines: "newgate-stream-end 1", "bytes N" (20 digits) and "sha256 HEX" of everything before it.
 * So a stream that was cut or altered anywhere is not taken for whole, whatever tar thinks of it. */
#ifndef NG_STORE_STREAM_MODULE_H
#define NG_STORE_STREAM_MODULE_H

#include "base/err.h"
#include "store/archive-module.h"

#define STREAM_SYMBOL "newgate_stream"
#define STREAM_TRAILER 512
#define STREAM_SUM_HEX 65

struct stream_xattr {
	const char *name;
	const void *value;
	size_t len;
};

/* A piece of a file; what lies between pieces is a hole. */
struct stream_extent {
	int64_t at, len;
};

struct stream_module {
	/* --- writing; what returns int gives 0, or -1 with fault() told --- */

	/* NULL: out of memory. */
	void *(*create)(int fd, bool zstd);
	/* Begins an entry. ACLs are among the attributes, as the kernel has them. `n` pieces in
	 * order; n 0 and a size: one hole. */
	int (*put)(void *w, const struct archive_file *f, const struct stream_xattr *x, size_t nx,
		   const struct stream_extent *e, size_t n);
	/* The pieces' bytes, one after the other. What is not written of them is zero. */
	int (*write)(void *w, const void *data, size_t len);
	int (*finish)(void *w);
	uint64_t (*written)(void *w); /* bytes that went to the descriptor */
	const char *(*write_fault)(void *w);
	void (*destroy)(void *w);

	/* --- reading --- */

	/* *archive is for next(), data(), xattr() and error() of struct archive_module alone. */
	void *(*open)(int fd, void **archive);
	/* Behind the last entry: was that all of it, and unaltered? `hex` gets its sum. */
	int (*check)(void *r, char hex[static STREAM_SUM_HEX]);
	const char *(*read_fault)(void *r);
	void (*close)(void *r);

	/* --- SHA-256 of anything; NULL: out of memory --- */
	void *(*sum_begin)(void);
	void (*sum_add)(void *sum, const void *data, size_t len);
	void (*sum_end)(void *sum, char hex[static STREAM_SUM_HEX]); /* frees it */
};

/* NULL: err tells why. */
const struct stream_module *stream_load(struct ng_err *err) MUST_CHECK;

#endif
