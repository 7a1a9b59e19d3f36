#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

__attribute__((format(printf, 3, 0))) static _Noreturn void end(enum outcome o, const char *word,
								const char *fmt, va_list ap)
{
	printf("%s: ", word);
	vprintf(fmt, ap);
	putchar('\n');
	fflush(stdout);
	_exit(o);
}

void won(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	end(WON, "won", fmt, ap);
}

void lost(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	end(LOST, "lost", fmt, ap);
}

void broken(const char *fmt, ...)
{
	const char *why = strerror(errno);
	va_list ap;
	va_start(ap, fmt);
	printf("(%s) ", why);
	end(BROKEN, "broken", fmt, ap);
}

void ready(void)
{
	puts("ready");
	fflush(stdout);
}

long number(const char *text)
{
	char *end;
	long n = strtol(text, &end, 0);
	if (*text == '\0' || *end)
		broken("%s: not a number", text);
	return n;
}

long slurp(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	size_t have = 0;
	if (fd < 0)
		return -1;
	while (have < size - 1) {
		ssize_t n = read(fd, buf + have, size - 1 - have);
		if (n <= 0)
			break;
		have += (size_t)n;
	}
	close(fd);
	buf[have] = '\0';
	return (long)have;
}

int main(int argc, char **argv)
{
	static const struct attack *const all[] = {file_attacks,    mount_attacks,  process_attacks,
						   network_attacks, amount_attacks, control_attacks,
						   kernel_attacks};
	for (size_t i = 0; argc > 1 && i < sizeof(all) / sizeof(*all); i++)
		for (const struct attack *a = all[i]; a->name; a++)
			if (strcmp(a->name, argv[1]) == 0 && argc - 2 >= a->args) {
				a->run(argv + 2);
				broken("%s ended without a word", a->name);
			}
	errno = EINVAL;
	broken("usage: attack NAME [ARG …]");
}
