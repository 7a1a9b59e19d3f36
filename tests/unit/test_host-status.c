/* What newgate host reads of the queue and of mailboxes, and what it makes of it. */
#include "unit.h"

#include <string.h>
#include "base/mem.h"
#include "host/status.h"

#define NOW 1795430000
#define MIB (UINT64_C(1) << 20)

static const struct host h = {.hostname = (char *)"mail.example.org",
			      .domain = (char *)"example.org",
			      .acme = (char *)"https://ca.example/directory"};

static void test_queue(void **arg)
{
	struct queue q autodone(queue_done) = {0};

	(void)arg;
	queue_parse(
	    &q,
	    "postqueue: warning: something\n"
	    "{\"queue_name\": \"deferred\", \"queue_id\": \"B2\", \"arrival_time\": 200, "
	    "\"message_size\": 443, \"sender\": \"a@x.org\", \"recipients\": [{\"address\": "
	    "\"b@y.org\"}, {\"address\": \"c@y.org\", \"delay_reason\": \"not \\\"now\\\"\"}]}\n"
	    "{\"queue_name\": \"hold\", \"queue_id\": \"A1\", \"arrival_time\": 100, "
	    "\"message_size\": 1, \"sender\": \"\", \"recipients\": []}\n"
	    "{\"queue_name\": \"active\"}\n"
	    "{\"queue_id\": \"half");
	assert_int_equal(q.n, 2);
	assert_int_equal(q.deferred, 1);
	assert_int_equal(q.held, 1);
	/* The oldest first. */
	assert_string_equal(q.v[0].id, "A1");
	assert_null(q.v[0].sender);
	assert_null(q.v[0].reason);
	assert_int_equal(q.v[0].to.n, 0);
	const struct queue_letter *l = queue_find(&q, "B2");
	assert_non_null(l);
	assert_string_equal(l->queue, "deferred");
	assert_string_equal(l->sender, "a@x.org");
	assert_int_equal(l->since, 200);
	assert_int_equal(l->bytes, 443);
	assert_int_equal(l->to.n, 2);
	assert_string_equal(l->to.v[1], "c@y.org");
	assert_string_equal(l->reason, "not \"now\"");
	assert_null(queue_find(&q, "B"));
}

static void test_quota(void **arg)
{
	struct host_status s autodone(host_status_done) = {0};

	(void)arg;
	status_parse_quota(&s, "Username\tQuota name\tType\tValue\tLimit\t%\n"
			       "a@x.org\tUser quota\tSTORAGE\t3\t2048\t0\n"
			       "a@x.org\tUser quota\tMESSAGE\t1\t-\t0\n"
			       "doveadm(b@x.org): Error: it is broken\n"
			       "c@x.org\tUser quota\tSTORAGE\t0\t-\t0\n"
			       "d@x.org\tUser quota\tSTORAGE\tmuch\t2048\t0\n");
	assert_int_equal(s.nmailboxes, 2);
	assert_string_equal(s.mailbox[0].address, "a@x.org");
	assert_int_equal(s.mailbox[0].used, 3072);
	assert_int_equal(s.mailbox[0].limit, 2 * MIB);
	assert_true(s.mailbox[0].known);
	assert_string_equal(s.mailbox[1].address, "c@x.org");
	assert_int_equal(s.mailbox[1].limit, 0);
}

/* A host on which all is well. */
static void fill(struct host_status *s)
{
	static const char *const names[] = {"dkim", "postfix"};

	s->all.v = mem_alloc(2 * sizeof(*s->all.v));
	s->jail = mem_alloc(2 * sizeof(*s->jail));
	for (; s->njails < 2; s->njails++, s->all.n++) {
		s->all.v[s->njails] = (struct overview_jail){
		    .name = mem_strdup(names[s->njails]), .state = JAIL_RUNNING, .since = NOW - 5};
		s->jail[s->njails] =
		    (struct status_jail){.name = names[s->njails], .seen = &s->all.v[s->njails]};
	}
	queue_parse(&s->queue, "{\"queue_name\": \"hold\", \"queue_id\": \"A1\", "
			       "\"arrival_time\": 100}\n"
			       "{\"queue_name\": \"deferred\", \"queue_id\": \"A2\", "
			       "\"arrival_time\": 1795429000}\n");
	status_parse_quota(s, "a@x.org\tUser quota\tSTORAGE\t940\t1000\t94\n"
			      "b@x.org\tUser quota\tSTORAGE\t94000000\t-\t0\n");
	s->cert = mem_alloc(sizeof(*s->cert));
	s->cert[s->ncerts++].cert =
	    (struct cert){.since = NOW - 86400, .until = NOW + 89 * INT64_C(86400)};
	strv_add(&s->cert[0].cert.names, "mail.example.org");
	s->folder = mem_alloc(2 * sizeof(*s->folder));
	for (; s->nfolders < 2; s->nfolders++)
		s->folder[s->nfolders] = (struct status_folder){
		    .path = names[s->nfolders], .free = 2048 * MIB, .size = 90000 * MIB};
}

static void expect(struct host_status *s, bool fault, const char *text, const char *command)
{
	status_judge(s, &h, NOW);
	assert_int_equal(s->nfindings, 1);
	assert_string_equal(s->finding[0].text, text);
	assert_string_equal(s->finding[0].command, command);
	assert_int_equal(s->finding[0].fault, fault);
}

static void test_all_is_well(void **arg)
{
	struct host_status s autodone(host_status_done) = {0};

	(void)arg;
	fill(&s);
	status_judge(&s, &h, NOW);
	assert_int_equal(s.nfindings, 0);
}

static void test_jails(void **arg)
{
	struct host_status down autodone(host_status_done) = {0},
				paused autodone(host_status_done) = {0},
				missing autodone(host_status_done) = {0};

	(void)arg;
	fill(&down);
	down.all.v[1].state = JAIL_FAILED;
	down.all.v[1].failure = mem_strdup("/etc/host/start failed");
	expect(&down, true, "jail postfix does not run: /etc/host/start failed",
	       "newgate up postfix");
	fill(&paused);
	paused.all.v[0].usage.services.paused = 1;
	paused.all.v[0].failure = mem_strdup("opendkim: exit status 78");
	expect(&paused, true,
	       "a service of jail dkim ends again and again: opendkim: exit status 78",
	       "newgate logs dkim");
	fill(&missing);
	missing.jail[0].seen = NULL;
	expect(&missing, true, "jail dkim does not run", "newgate up dkim");
}

static void test_letters_and_mailboxes(void **arg)
{
	struct host_status old autodone(host_status_done) = {0},
			       full autodone(host_status_done) = {0},
			       none autodone(host_status_done) = {0};

	(void)arg;
	fill(&old);
	old.queue.v[1].since = NOW - 5 * 3600;
	expect(&old, false, "1 letter waits for more than four hours", "newgate host queue");
	fill(&full);
	full.mailbox[0].limit = 10 * MIB;
	full.mailbox[0].used = 10 * MIB;
	expect(&full, false, "the mailbox of a@x.org is full to 100 %",
	       "newgate host user quota a@x.org 20M");
	fill(&none);
	for (; none.nmailboxes; none.nmailboxes--)
		free(none.mailbox[none.nmailboxes - 1].address);
	expect(&none, false, "there is no mailbox yet", "newgate host user add you@example.org");
}

static void test_certificates(void **arg)
{
	static const struct {
		int64_t days;
		bool own, fault;
		const char *text;
	} of[] = {
	    {0, false, true, "the certificate of mail.example.org has expired"},
	    {0, true, true, "the certificate of mail.example.org has expired"},
	    {80, true, false,
	     "nobody vouches for the certificate of mail.example.org: other people's programs warn "
	     "of it"},
	    {10, false, false,
	     "the certificate of mail.example.org expires in 10 days and was not renewed"},
	};

	(void)arg;
	for (size_t i = 0; i < ARRAY_SIZE(of); i++) {
		struct host_status s autodone(host_status_done) = {0};

		fill(&s);
		s.cert[0].cert.until = NOW + of[i].days * 86400;
		s.cert[0].cert.since = s.cert[0].cert.until - 90 * INT64_C(86400);
		s.cert[0].cert.own = of[i].own;
		expect(&s, of[i].fault, of[i].text, "newgate host renew");
	}
}

static void test_disk(void **arg)
{
	static const char command[] = "du -xh --max-depth=2 /var/lib/newgate/host | sort -h | tail";
	struct host_status low autodone(host_status_done) = {0},
			       full autodone(host_status_done) = {0};

	(void)arg;
	/* Both folders are on one disk. */
	fill(&low);
	low.folder[0].free = low.folder[1].free = 2000 * MIB;
	expect(&low, false, "the disk of /var/lib/newgate/host/dkim has 2000 MiB left, 2 %",
	       command);
	fill(&full);
	full.folder[1].device = 7;
	full.folder[1].free = 127 * MIB;
	expect(&full, true, "the disk of /var/lib/newgate/host/postfix has 127 MiB left, 0 %",
	       command);
}

static void test_faults_come_first(void **arg)
{
	struct host_status s autodone(host_status_done) = {0};

	(void)arg;
	fill(&s);
	s.queue.v[1].since = 0;
	s.cert[0].cert.own = true;
	s.all.v[0].state = JAIL_STOPPED;
	status_judge(&s, &h, NOW);
	assert_int_equal(s.nfindings, 3);
	assert_true(s.finding[0].fault);
	assert_false(s.finding[1].fault || s.finding[2].fault);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_queue),
	    cmocka_unit_test(test_quota),
	    cmocka_unit_test(test_all_is_well),
	    cmocka_unit_test(test_jails),
	    cmocka_unit_test(test_letters_and_mailboxes),
	    cmocka_unit_test(test_certificates),
	    cmocka_unit_test(test_disk),
	    cmocka_unit_test(test_faults_come_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
