#include "init/log.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

void line_add(struct line *l, const char *s)
{
	while (*s && l->n < sizeof(l->text) - 1)
		l->text[l->n++] = *s++;
}

void line_num(struct line *l, uint32_t v)
{
	char digits[11], *p = digits + sizeof(digits);

	*--p = 0;
	do
		*--p = (char)('0' + v % 10);
	while (v /= 10);
	line_add(l, p);
}

void line_error(struct line *l, int code)
{
	/* strerror would bring all of them along: 2 kB for each jail. */
	switch (code) {
	case ENOENT:
		line_add(l, "no such file or directory");
		break;
	case EACCES:
	case EPERM:
		line_add(l, "permission denied");
		break;
	case ENOEXEC:
		line_add(l, "not a program for this machine");
		break;
	case EAGAIN:
		line_add(l, "too many processes");
		break;
	case ENOMEM:
		line_add(l, "out of memory");
		break;
	default:
		line_add(l, "errno ");
		line_num(l, (uint32_t)code);
	}
}

void line_write(struct line *l)
{
	struct pollfd p = {.fd = 2, .events = POLLOUT};

	l->text[l->n++] = '\n';
	if (poll(&p, 1, 0) == 1 && (p.revents & POLLOUT) && write(2, l->text, l->n) < 0)
		return; /* the line is lost; there is nobody else to tell */
}
