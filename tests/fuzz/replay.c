/* Runs a fuzz target over the files given and those in the folders given, without libFuzzer, and
 * over every beginning of each: a text cut short is what parsers most often forget. */
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/str.h"
#include "base/mem.h"
#include "fuzz.h"

#define CUT_MAX 2048 /* files longer than this are only run whole */

static unsigned inputs;

/* The input in memory of exactly its size, so that the sanitizer sees a byte read behind it. */
static void run(const char *text, size_t len)
{
	autofree uint8_t *data = malloc(len ? len : 1);
	if (!data)
		abort();
	memcpy(data, text, len);
	LLVMFuzzerTestOneInput(data, len);
	inputs++;
}

/* What a golden test expects of its input is none. */
static bool is_expectation(const char *path)
{
	return str_suffix(path, ".ok") || str_suffix(path, ".fail") || str_suffix(path, ".ops");
}

static int visit(const char *path, const struct stat *st UNUSED, int type, struct FTW *ftw UNUSED)
{
	if (type != FTW_F || is_expectation(path))
		return 0;
	autofree char *text = NULL;
	size_t len;
	int r = file_read(path, &text, &len);
	if (r < 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(-r));
		return 1;
	}
	run(text, len);
	if (len <= CUT_MAX)
		for (size_t cut = 0; cut < len; cut++)
			run(text, cut);
	return 0;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (nftw(argv[i], visit, 16, FTW_PHYS) != 0) {
			fprintf(stderr, "replaying %s failed\n", argv[i]);
			return 1;
		}
	}
	if (!inputs) {
		fprintf(stderr, "nothing to replay\n");
		return 1;
	}
	printf("%u inputs\n", inputs);
	return 0;
}
