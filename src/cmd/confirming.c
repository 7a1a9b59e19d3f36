#include "cmd/confirming.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/num.h"
#include "cmd/cmd.h"
#include "cmd/goback.h"
#include "sys/fd.h"

bool confirming_seconds(const char *text, unsigned *out)
{
	if (num_u32(text, 1, 24 * 60 * 60, out) == 0)
		return true;
	warn_msg("--confirm %s: within how many seconds? 1 to 86400", text);
	return false;
}

bool confirming_free(struct state *s)
{
	int left;
	switch (confirm_look(s, &left)) {
	case CONFIRM_NONE:
		return true;
	case CONFIRM_ORPHANED:
		warn_msg(
		    "a change waited to be confirmed, and the process that would have gone back "
		    "was killed: `newgate confirm` keeps what runs now, `newgate confirm "
		    "--back` goes back");
		return false;
	default:
		if (left < 0)
			warn_msg("another change with --confirm is being made");
		else
			warn_msg(
			    "a change waits to be confirmed: `newgate confirm` keeps it, "
			    "`newgate confirm --back` goes back, which happens by itself in %d "
			    "s",
			    left);
		return false;
	}
}

int confirming_start(struct state *s, struct confirming *c)
{
	struct ng_err err = {0};

	c->sock = -1;
	if (confirm_keep(s, c->jails, &err) == 0 &&
	    (!c->pf || confirm_keep_pf(s, c->on, &err) == 0) &&
	    confirm_start(s, c->seconds, go_back, &c->sock, &err) == 0)
		return 0;
	warn_msg("%s", err.text);
	confirm_forget(s);
	return 1;
}

void confirming_end(struct confirming *c)
{
	if (fd_send(c->sock, "keep", strlen("keep"), NULL, 0) == 0)
		(void)!confirm_end(c->sock);
	close(take_fd(&c->sock));
}

/* Until Enter is pressed, or it ended otherwise. */
static int wait_for_enter(const struct confirming *c)
{
	struct pollfd p[] = {{.fd = c->sock, .events = POLLIN},
			     {.fd = STDIN_FILENO, .events = POLLIN}};
	char end, line[64];

	fprintf(stderr, "goes back in %u s: press Enter to keep it ", c->seconds);
	fflush(stderr);
	while (poll(p, 2, -1) < 0 && errno == EINTR)
		;
	if (!p[0].revents && read(STDIN_FILENO, line, sizeof(line)) > 0 &&
	    fd_send(c->sock, "keep", strlen("keep"), NULL, 0) < 0)
		return 1;
	end = confirm_end(c->sock);
	fputc('\n', stderr);
	if (end == 'k')
		printf("%s\n", go_back_words(c->jails, true));
	else if (end == 'b')
		warn_msg("not confirmed: %s", go_back_words(c->jails, false));
	else if (end)
		warn_msg("not confirmed, and not all of it went back; see newgate up -n, and "
			 "/var/log/newgate.log");
	else
		warn_msg(
		    "the process that would have gone back was killed: `newgate confirm` keeps "
		    "what runs now, `newgate confirm --back` goes back");
	return end != 'k';
}

int confirming_wait(struct confirming *c)
{
	autoclose int sock = c->sock;

	if (confirm_applied(sock) < 0) {
		warn_msg("the process that is to go back was killed: `newgate confirm` keeps what "
			 "runs now, `newgate confirm --back` goes back");
		return 1;
	}
	if (isatty(STDIN_FILENO))
		return wait_for_enter(c);
	fprintf(stderr, "goes back in %u s, unless confirmed: newgate confirm\n", c->seconds);
	return 0;
}
