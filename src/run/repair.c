/* A jail whose link or routes somebody took away. */
#include "base/mem.h"
#include "run/job.h"

/* What it may connect to is not touched here. */
int repair_apply(struct job *j)
{
	struct engine *e = j->e;
	struct net_jail *nj = &j->create.net;
	struct ng_err err = {0};
	if (!j->rec.link || !j->conf.name)
		return j->op & RUN_MODIFY ? modify_apply(j) : 0;
	if (!e->surveyed && select_survey(e, &err) < 0)
		return job_told(j, &err);
	e->host.net.running = &j->rec;
	int rc = net_plan(&e->host.net, &j->conf, j->rec.jid, select_lookup, e, nj, &err);
	e->host.net.running = NULL;
	if (rc == 0) {
		strv_done(&nj->undo);
		for (size_t i = 0; i < j->rec.undo.n; i++)
			strv_add(&nj->undo, j->rec.undo.v[i]);
		rc = net_heal_jail(&e->host.net, &j->rec, nj, &err);
	}
	if (rc > 0) {
		free(j->rec.link);
		j->rec.link = mem_strdup(nj->link);
		rc = state_write(e->host.state, &j->rec, &err);
	}
	net_jail_done(nj);
	if (rc < 0) {
		err_prefix(&err, "cannot be repaired while it runs (jail -rc %s starts it again)",
			   j->rec.name);
		return job_told(j, &err);
	}
	return j->op & RUN_MODIFY ? modify_apply(j) : 0;
}
