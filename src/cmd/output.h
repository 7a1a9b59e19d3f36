/* A table, printed for people or as JSON: one struct of functions, so that a verb states its rows
 * once. Fields named here are documented in the verb's manual page. */
#ifndef NG_CMD_OUTPUT_H
#define NG_CMD_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct output;
/* json: {"ROWS": [ {…}, … ]}; else columns as wide as they need, a header, plain in a pipe. */
struct output *output_open(FILE *f, bool json, const char *rows);
void output_row(struct output *o);
void output_str(struct output *o, const char *field, const char *header,
		const char *value); /* NULL: null, "-" */
void output_num(struct output *o, const char *field, const char *header, uint64_t value);
void output_bytes(struct output *o, const char *field, const char *header,
		  uint64_t value); /* 12.3M for people */
void output_real(struct output *o, const char *field, const char *header,
		 double value); /* one digit behind the point */
/* Of seconds: "3d4h", "12m5s" for people. */
void output_span(struct output *o, const char *field, const char *header, int64_t seconds);
#define SPAN_TEXT 32
const char *span_text(int64_t seconds, char buf[static SPAN_TEXT]);
void output_bool(struct output *o, const char *field, const char *header, bool value);
void output_list(struct output *o, const char *field, const char *header, const char *const *v,
		 size_t n);
/* So many columns, whatever it is printed to, without a bold header; 0: as many as it needs. */
void output_width(struct output *o, int columns);
/* Ends the table and begins another: in JSON one more field of the same object. */
void output_next(struct output *o, const char *rows);
int output_close(struct output *o); /* prints; 0, or -errno where writing failed */

#endif
