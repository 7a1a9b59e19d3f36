#include "cmd/held.h"

#include <time.h>

static void those(sigset_t *held)
{
	sigemptyset(held);
	sigaddset(held, SIGHUP);
	sigaddset(held, SIGINT);
	sigaddset(held, SIGQUIT);
	sigaddset(held, SIGTERM);
}

void held_begin(sigset_t *before)
{
	sigset_t held;

	those(&held);
	sigprocmask(SIG_BLOCK, &held, before);
}

bool held_came(void)
{
	const struct timespec at_once = {0};
	sigset_t held;
	bool any = false;

	those(&held);
	while (sigtimedwait(&held, NULL, &at_once) > 0)
		any = true;
	return any;
}
