#include "cmd/progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include "cmd/cmd.h"

#define TERMINAL_MS 100    /* between two looks of the line */
#define ELSEWHERE_MS 10000 /* between two lines; also before the first */

static struct {
	bool terminal, shown;
	uint64_t told;  /* when something was printed last */
	uint64_t began; /* when the bytes began to run */
	char what[64];
} now;

static uint64_t clock_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static bool is_time(void)
{
	uint64_t ms = clock_ms();

	if (ms - now.told < (now.terminal ? TERMINAL_MS : ELSEWHERE_MS))
		return false;
	now.told = ms;
	return true;
}

static void show(const char *text)
{
	autodone(str_done) struct str seen = {0};
	struct winsize size;

	str_add_visible(&seen, text);
	if (!now.terminal) {
		fprintf(stderr, "%s: %s\n", cmd_program, str_text(&seen));
		return;
	}
	/* A longer one would leave its beginning behind in the line above. */
	int room =
	    ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1 : 79;
	fprintf(stderr, "\r\033[K%.*s", room, str_text(&seen));
	fflush(stderr);
	now.shown = true;
}

static void hear_line(void *arg, const char *text)
{
	(void)arg;
	/* On a terminal the eye skips what it has no time for; elsewhere one line stands for all. */
	if (now.terminal || is_time())
		show(text);
}

static void hear_bytes(void *arg, const char *what, uint64_t done, uint64_t total)
{
	autodone(str_done) struct str text = {0};
	const char *slash = strrchr(what, '/');
	const char *name = slash && slash[1] ? slash + 1 : what;

	(void)arg;
	if (strncmp(now.what, name, sizeof(now.what) - 1) != 0) {
		snprintf(now.what, sizeof(now.what), "%s", name);
		now.began = clock_ms();
	}
	if (!is_time())
		return;
	progress_text(&text, name, done, total, clock_ms() - now.began);
	show(text.s);
}

void progress_attach(struct store *s)
{
	now.terminal = isatty(STDERR_FILENO);
	now.told = clock_ms();
	now.what[0] = '\0';
	s->note = hear_line;
	s->progress = hear_bytes;
}

void progress_end(void)
{
	if (now.shown)
		fputs("\r\033[K", stderr);
	now.shown = false;
	fflush(stderr);
}
