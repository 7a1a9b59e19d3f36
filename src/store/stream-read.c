/* Streams, read: decompressed, summed, without the block at their end, for libarchive's tar. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>
#include "store/archive-reader.h"
#include "store/stream-private.h"

#define ROOM (256 * 1024)

struct reader {
	int fd;
	void *archive;
	struct archive_pieces pieces;
	ZSTD_DCtx *zstd; /* NULL: not compressed */
	bool begun, ended;
	bool in_frame; /* the compressor has more to say */
	ZSTD_inBuffer in;
	char *stored;        /* ROOM: what was read */
	char *plain;         /* ROOM, behind what was held back */
	size_t handed, held; /* in plain: given away, and what may be the last block */
	struct sha256_ctx sum;
	uint64_t summed;
	char fault[256];
};

static ssize_t failed(struct reader *r, const char *text)
{
	if (r->fault[0] == '\0')
		snprintf(r->fault, sizeof(r->fault), "%s", text);
	r->pieces.fault = r->fault;
	return -1;
}

static ssize_t read_some(struct reader *r, char *to, size_t room)
{
	ssize_t n;

	do
		n = read(r->fd, to, room);
	while (n < 0 && errno == EINTR);
	return n < 0 ? failed(r, strerror(errno)) : n;
}

/* Enough of the beginning to know what it is. */
static int begin(struct reader *r)
{
	static const char magic[4] = {'\x28', '\xb5', '\x2f', '\xfd'};
	size_t len = 0;
	ssize_t n = 1;

	while (len < sizeof(magic) && (n = read_some(r, r->stored + len, ROOM - len)) > 0)
		len += (size_t)n;
	if (n < 0)
		return -1;
	r->begun = true;
	r->in = (ZSTD_inBuffer){r->stored, len, 0};
	if (len >= sizeof(magic) && memcmp(r->stored, magic, sizeof(magic)) == 0) {
		r->zstd = ZSTD_createDCtx();
		if (!r->zstd)
			return (int)failed(r, "out of memory");
	}
	return 0;
}

static ssize_t decompress(struct reader *r, char *to, size_t room)
{
	ZSTD_outBuffer out = {to, room, 0};

	while (out.pos == 0) {
		if (r->in.pos == r->in.size) {
			ssize_t n = read_some(r, r->stored, ROOM);
			if (n < 0)
				return -1;
			if (n == 0 && r->in_frame)
				return failed(r, "it is cut short");
			if (n == 0)
				return 0;
			r->in = (ZSTD_inBuffer){r->stored, (size_t)n, 0};
		}
		size_t more = ZSTD_decompressStream(r->zstd, &out, &r->in);
		if (ZSTD_isError(more))
			return failed(r, "what zstd made of it is damaged");
		r->in_frame = more != 0;
	}
	return (ssize_t)out.pos;
}

/* What is in the stream, decompressed: 0 at its end. */
static ssize_t read_plain(struct reader *r, char *to, size_t room)
{
	if (!r->begun && begin(r) < 0)
		return -1;
	if (r->zstd)
		return decompress(r, to, room);
	if (r->in.pos == r->in.size)
		return read_some(r, to, room);
	size_t n = r->in.size - r->in.pos < room ? r->in.size - r->in.pos : room;
	memcpy(to, r->stored + r->in.pos, n);
	r->in.pos += n;
	return (ssize_t)n;
}

/* The next piece but for the last STREAM_TRAILER bytes of all, which are held back. */
static ssize_t read_piece(void *arg, const void **piece)
{
	struct reader *r = arg;

	if (r->fault[0] != '\0')
		return -1;
	memmove(r->plain, r->plain + r->handed, r->held);
	r->handed = 0;
	while (!r->ended && r->held <= STREAM_TRAILER) {
		ssize_t n = read_plain(r, r->plain + r->held, ROOM);
		if (n < 0)
			return -1;
		r->ended = n == 0;
		r->held += (size_t)n;
	}
	if (r->held <= STREAM_TRAILER)
		return 0;
	r->handed = r->held - STREAM_TRAILER;
	r->held = STREAM_TRAILER;
	sha256_update(&r->sum, r->handed, (const uint8_t *)r->plain);
	r->summed += r->handed;
	*piece = r->plain;
	return (ssize_t)r->handed;
}

void *stream_reader_open(int fd, void **archive)
{
	struct reader *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->fd = fd;
	r->pieces = (struct archive_pieces){read_piece, r, NULL};
	r->stored = malloc(ROOM);
	r->plain = malloc(ROOM + STREAM_TRAILER);
	sha256_init(&r->sum);
	if (r->stored && r->plain)
		*archive = r->archive = archive_open_pieces(&r->pieces);
	if (r->archive)
		return r;
	stream_reader_close(r);
	return NULL;
}

int stream_reader_check(void *arg, char hex[static STREAM_SUM_HEX])
{
	struct reader *r = arg;
	char text[STREAM_TRAILER];
	const void *piece;
	ssize_t n;

	while ((n = read_piece(r, &piece)) > 0)
		;
	if (n < 0)
		return -1;
	struct sha256_ctx sum = r->sum;
	stream_hex(&sum, hex);
	memset(text, '\n', sizeof(text));
	int len = snprintf(text, sizeof(text), STREAM_TRAILER_FORMAT, r->summed, hex);
	text[len] = '\n';
	if (r->held != sizeof(text) || memcmp(r->plain + r->handed, text, strcspn(text, "\n")) != 0)
		return (int)failed(r, "it is cut short: its end is missing");
	if (memcmp(r->plain + r->handed, text, sizeof(text)) != 0)
		return (int)failed(r, "it was altered: its checksum is another");
	return 0;
}

const char *stream_reader_fault(void *arg)
{
	struct reader *r = arg;

	return r->fault;
}

void stream_reader_close(void *arg)
{
	struct reader *r = arg;

	if (r->archive)
		newgate_archive.close(r->archive);
	ZSTD_freeDCtx(r->zstd);
	free(r->stored);
	free(r->plain);
	free(r);
}
