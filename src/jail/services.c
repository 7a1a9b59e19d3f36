/* CTL_STATUS, read. The jail's root may have written it: every length is checked, every text is
 * made printable. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include "base/mem.h"
#include "jail/control.h"
#include "sys/fd.h"

int control_query(int sock)
{
	struct ctl_head head = {.type = CTL_QUERY};
	return fd_send(sock, &head, sizeof(head), NULL, 0);
}

/* The first word of the tag, which is the whole command, without its folder. */
static void put_name(struct str *out, const char *tag)
{
	size_t n = strcspn(tag, " \t");
	for (size_t i = 0; i < n; i++)
		if (tag[i] == '/' && i + 1 < n) {
			tag += i + 1;
			n -= i + 1;
			i = (size_t)-1;
		}
	for (size_t i = 0; i < n && i < 64; i++)
		str_addc(out, isgraph((unsigned char)tag[i]) ? tag[i] : '?');
}

static void put_failure(struct control_services *out, const struct ctl_service *s, const char *tag)
{
	struct str b autodone(str_done) = {0};
	int status = (int)s->last_status;
	put_name(&b, tag);
	if (WIFSIGNALED(status))
		str_addf(&b, ": signal %d", WTERMSIG(status));
	else
		str_addf(&b, ": exit status %d", WEXITSTATUS(status));
	str_addf(&b, " after %u s", s->last_lived);
	snprintf(out->last_failure, sizeof(out->last_failure), "%s", str_text(&b));
}

static int parse(const char *p, size_t len, struct control_services *out)
{
	struct ctl_head head;
	struct ctl_status st;
	if (len < sizeof(head) + sizeof(st))
		return -EBADMSG;
	memcpy(&head, p, sizeof(head));
	if (head.type != CTL_STATUS || head.len != len - sizeof(head))
		return -EBADMSG;
	memcpy(&st, p + sizeof(head), sizeof(st));
	p += sizeof(head) + sizeof(st);
	len -= sizeof(head) + sizeof(st);
	for (uint32_t i = 0; i < st.nservices; i++) {
		struct ctl_service s;
		const char *tag = p + sizeof(s);
		if (len <= sizeof(s) || !memchr(tag, 0, len - sizeof(s)))
			return -EBADMSG;
		memcpy(&s, p, sizeof(s));
		size_t used = sizeof(s) + strlen(tag) + 1;
		p += used;
		len -= used;
		out->services++;
		out->paused += s.pid == 0;
		out->restarts += s.restarts;
		if (s.restarts && s.last_status)
			put_failure(out, &s, tag);
	}
	return 0;
}

int control_services(int sock, struct control_services *out)
{
	autofree char *buf = mem_alloc(CTL_MAX);
	*out = (struct control_services){0};
	ssize_t n = recv(sock, buf, CTL_MAX, MSG_DONTWAIT);
	if (n < 0)
		return -errno;
	return parse(buf, (size_t)n, out);
}
