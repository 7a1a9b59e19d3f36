/* Hooks written for FreeBSD call tools that Linux lacks, or whose work newgate does itself. */
#ifndef NG_JAIL_HOOKHELP_H
#define NG_JAIL_HOOKHELP_H

/* What to write instead, where the command line calls such a tool: a sentence to follow the report
 * that the hook failed ("ifconfig epair0 create: failed: …"). NULL where it calls none.
 *
 * The text is read as a shell reads it: commands in lists, pipes, $(…), `…` and sh -c are found,
 * words that are only arguments (`echo ifconfig`) are not. Pure. */
const char *hookhelp(const char *command);

#endif
