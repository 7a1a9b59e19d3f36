/* The answer in words. */
#include "conf/print.h"
#include "explain/explain.h"

void explain_end_text(struct str *out, const struct explain_world *w, const struct explain_end *e)
{
	char text[IP_TEXT];
	if (e->who == WHO_JAIL)
		str_add(out, w->jail[e->jail].name);
	else if (!e->ip.family)
		str_add(out, e->who == WHO_HOST ? "host" : "internet");
	if (e->ip.family)
		str_addf(out, e->who == WHO_JAIL ? " (%s)" : "%s", ip_text(&e->ip, text));
}

static void place(struct str *out, const struct pos *p)
{
	if (p->line)
		str_addf(out, " (%s:%u)", p->file, p->line);
}

/* "rdr "tcp 25" of mail (jail.conf:14)" */
static void value_text(struct str *out, const struct explain_world *w, const char *param, size_t by,
		       const struct conf_value *v)
{
	str_addf(out, "%s \"%s\" of %s", param, v->text, w->jail[by].name);
	place(out, &v->pos);
}

/* Where allow.connect stands, or would. */
static void list_text(struct str *out, const struct explain_world *w, size_t by)
{
	struct pos p = conf_pos(w->jail[by].conf, P_ALLOW_CONNECT);
	str_addf(out, "allow.connect of %s", w->jail[by].name);
	place(out, &p);
}

static void unlisted(struct str *out, const struct explain_world *w, const struct explain_answer *a)
{
	static const char *const to[] = {[WHO_INTERNET] = "the internet",
					 [WHO_HOST] = "the host",
					 [WHO_JAIL] = "other jails",
					 [WHO_NOBODY] = "there"};
	if (w->jail[a->by].listed) {
		list_text(out, w, a->by);
		str_add(out, " does not list it");
	} else {
		str_addf(out, "a jail without allow.connect may not connect to %s", to[a->at]);
	}
}

void explain_reason(struct str *out, const struct explain_world *w,
		    const struct explain_question *q, const struct explain_answer *a)
{
	switch (a->rule) {
	case RULE_INSIDE:
		str_add(out, a->at == WHO_JAIL ? "it does not leave the jail"
					       : "it does not leave the host");
		break;
	case RULE_HOST_SENDS:
		str_add(out, "newgate does not filter what the host itself sends");
		break;
	case RULE_HOST_TAKES:
		str_add(out, "newgate does not filter what comes to the host itself");
		break;
	case RULE_RDR:
		value_text(out, w, "rdr", a->by, a->value);
		break;
	case RULE_OTHER_RDR:
		value_text(out, w, "rdr", a->rdr_jail, a->rdr);
		str_add(out, " has the port");
		break;
	case RULE_NO_RDR:
		str_addf(out, "no rdr leads from %s %u to %s",
			 q->proto == PROTO_TCP ? "tcp" : "udp", q->port, w->jail[a->by].name);
		break;
	case RULE_CONNECT:
		value_text(out, w, "allow.connect", a->by, a->value);
		break;
	case RULE_DEFAULT:
		str_add(out, "a jail without allow.connect may connect to the internet");
		break;
	case RULE_UNLISTED:
		unlisted(out, w, a);
		break;
	case RULE_MAIL:
		str_add(out, "tcp 25 to the internet must be named in allow.connect");
		break;
	case RULE_METADATA:
		str_add(out, "clouds serve their secrets at this address: it must be named in "
			     "allow.connect");
		break;
	case RULE_PRIVATE:
		str_add(out, "the address is private: from outside only rdr leads to the jail");
		break;
	case RULE_BANNED:
		str_add(out, "the address is banned from the jails");
		break;
	case RULE_NOBODY:
		str_add(out, "nobody has such an address");
		break;
	case RULE_NO_ADDRESS:
		str_add(out, "one of the two has no address (of that family, or none before its "
			     "first start)");
		break;
	case RULE_INHERITS:
		str_add(out, "with ip4 = inherit or ip6 = inherit, a jail has the host's network");
		break;
	}
}

void explain_change_text(struct str *out, const struct explain_world *w,
			 const struct explain_change *c)
{
	const struct explain_jail *j = &w->jail[c->jail];
	const char *param = param_get(c->param)->name;
	struct pos p = conf_pos(j->conf, c->param);
	if (c->add && !*c->add) {
		str_addf(out, "add allow.connect; to %s", j->name);
	} else if (c->add && c->param == P_ALLOW_CONNECT && !j->listed) {
		str_addf(out, "add allow.connect = internet, \"%s\"; to %s", c->add, j->name);
	} else if (c->add && c->remove) {
		p = c->remove->pos;
		str_addf(out, "make \"%s\" of \"%s\" in %s of %s", c->add, c->remove->text, param,
			 j->name);
	} else if (c->add && !conf_is_set(j->conf, c->param)) {
		str_addf(out, "add %s = \"%s\"; to %s", param, c->add, j->name);
	} else if (c->add) {
		str_addf(out, "add \"%s\" to %s of %s", c->add, param, j->name);
	} else {
		p = c->remove->pos;
		str_addf(out, "remove \"%s\" from %s of %s", c->remove->text, param, j->name);
	}
	place(out, &p);
}
