#include "pf/names.h"

#include <netinet/in.h>

#include "base/str.h"

struct number {
	const char *name;
	int n;
};

static const char *name_of(const struct number *v, size_t n, int number)
{
	for (size_t i = 0; i < n; i++)
		if (v[i].n == number)
			return v[i].name;
	return NULL;
}

static int number_of(const struct number *v, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(v[i].name, name))
			return v[i].n;
	return -1;
}

static const char *nearest(const struct number *v, size_t n, const char *name)
{
	const char *names[256];
	if (n > ARRAY_SIZE(names))
		n = ARRAY_SIZE(names);
	for (size_t i = 0; i < n; i++)
		names[i] = v[i].name;
	return str_nearest(name, names, n);
}

/* ---- protocols; of those with several names, the first is printed ---- */

static const struct number protocols[] = {
    {"tcp", 6},         {"udp", 17},
    {"icmp", 1},        {"ipv6-icmp", 58},
    {"icmp6", 58},      {"ip", 0},
    {"igmp", 2},        {"ggp", 3},
    {"ipencap", 4},     {"st2", 5},
    {"cbt", 7},         {"egp", 8},
    {"igp", 9},         {"pup", 12},
    {"chaos", 16},      {"hmp", 20},
    {"xns-idp", 22},    {"rdp", 27},
    {"iso-tp4", 29},    {"dccp", 33},
    {"xtp", 36},        {"ddp", 37},
    {"idpr-cmtp", 38},  {"ipv6", 41},
    {"ipv6-route", 43}, {"ipv6-frag", 44},
    {"idrp", 45},       {"rsvp", 46},
    {"gre", 47},        {"esp", 50},
    {"ah", 51},         {"skip", 57},
    {"ipv6-nonxt", 59}, {"ipv6-opts", 60},
    {"vmtp", 81},       {"eigrp", 88},
    {"ospf", 89},       {"ax.25", 93},
    {"ipip", 94},       {"etherip", 97},
    {"encap", 98},      {"pim", 103},
    {"ipcomp", 108},    {"carp", 112},
    {"vrrp", 112},      {"l2tp", 115},
    {"isis", 124},      {"sctp", 132},
    {"fc", 133},        {"mobility-header", 135},
    {"udplite", 136},   {"mpls-in-ip", 137},
    {"hip", 139},       {"shim6", 140},
    {"pfsync", 240},
};

const char *proto_name(uint8_t proto)
{
	return name_of(protocols, ARRAY_SIZE(protocols), proto);
}

bool proto_number(const char *name, uint8_t *proto)
{
	int n = number_of(protocols, ARRAY_SIZE(protocols), name);
	if (n >= 0)
		*proto = (uint8_t)n;
	return n >= 0;
}

const char *proto_nearest(const char *name)
{
	return nearest(protocols, ARRAY_SIZE(protocols), name);
}

/* ---- services ---- */

enum { T = 1, U = 2, TU = 3 };
/* The first of a port is what is printed for it. */
static const struct service {
	const char *name;
	uint16_t port;
	uint8_t of;
} services[] = {
    {"echo", 7, TU},
    {"discard", 9, TU},
    {"systat", 11, TU},
    {"daytime", 13, TU},
    {"qotd", 17, TU},
    {"chargen", 19, TU},
    {"ftp-data", 20, TU},
    {"ftp", 21, TU},
    {"ssh", 22, TU},
    {"telnet", 23, TU},
    {"smtp", 25, TU},
    {"mail", 25, TU},
    {"time", 37, TU},
    {"nicname", 43, TU},
    {"whois", 43, TU},
    {"tacacs", 49, TU},
    {"domain", 53, TU},
    {"bootps", 67, TU},
    {"dhcps", 67, TU},
    {"bootpc", 68, TU},
    {"dhcpc", 68, TU},
    {"tftp", 69, TU},
    {"gopher", 70, TU},
    {"finger", 79, TU},
    {"http", 80, TU},
    {"www", 80, TU},
    {"www-http", 80, TU},
    {"kerberos-sec", 88, TU},
    {"kerberos", 88, TU},
    {"pop2", 109, TU},
    {"pop3", 110, TU},
    {"sunrpc", 111, TU},
    {"rpcbind", 111, TU},
    {"portmapper", 111, TU},
    {"auth", 113, TU},
    {"ident", 113, TU},
    {"nntp", 119, TU},
    {"ntp", 123, TU},
    {"loc-srv", 135, TU},
    {"epmap", 135, TU},
    {"netbios-ns", 137, TU},
    {"netbios-dgm", 138, TU},
    {"netbios-ssn", 139, TU},
    {"imap", 143, TU},
    {"imap2", 143, TU},
    {"imap4", 143, TU},
    {"snmp", 161, TU},
    {"snmptrap", 162, TU},
    {"xdmcp", 177, TU},
    {"bgp", 179, TU},
    {"irc", 194, TU},
    {"imap3", 220, TU},
    {"ldap", 389, TU},
    {"svrloc", 427, TU},
    {"https", 443, TU},
    {"snpp", 444, TU},
    {"microsoft-ds", 445, TU},
    {"kpasswd5", 464, TU},
    {"smtps", 465, TU},
    {"submissions", 465, TU},
    {"isakmp", 500, TU},
    {"syslog", 514, U},
    {"shell", 514, T},
    {"cmd", 514, T},
    {"exec", 512, T},
    {"biff", 512, U},
    {"comsat", 512, U},
    {"login", 513, T},
    {"who", 513, U},
    {"printer", 515, TU},
    {"spooler", 515, TU},
    {"talk", 517, U},
    {"ntalk", 518, U},
    {"route", 520, U},
    {"router", 520, U},
    {"ripng", 521, TU},
    {"uucp", 540, TU},
    {"dhcpv6-client", 546, TU},
    {"dhcpv6-server", 547, TU},
    {"afpovertcp", 548, TU},
    {"rtsp", 554, TU},
    {"nntps", 563, TU},
    {"submission", 587, TU},
    {"ipp", 631, TU},
    {"ldaps", 636, TU},
    {"ldp", 646, TU},
    {"iris-beep", 702, TU},
    {"kerberos-adm", 749, TU},
    {"domain-s", 853, TU},
    {"rsync", 873, TU},
    {"ftps-data", 989, TU},
    {"ftps", 990, TU},
    {"telnets", 992, TU},
    {"imaps", 993, TU},
    {"ircs", 994, TU},
    {"pop3s", 995, TU},
    {"socks", 1080, TU},
    {"openvpn", 1194, TU},
    {"ms-sql-s", 1433, TU},
    {"ms-sql-m", 1434, TU},
    {"l2tp", 1701, TU},
    {"pptp", 1723, TU},
    {"radius", 1812, TU},
    {"radacct", 1813, TU},
    {"ssdp", 1900, TU},
    {"hsrp", 1985, TU},
    {"cisco-sccp", 2000, TU},
    {"nfsd", 2049, TU},
    {"nfs", 2049, TU},
    {"zephyr-srv", 2102, TU},
    {"eppc", 3031, TU},
    {"squid", 3128, TU},
    {"iscsi-target", 3260, TU},
    {"mysql", 3306, TU},
    {"rdp", 3389, TU},
    {"nut", 3493, TU},
    {"stun", 3478, TU},
    {"svn", 3690, TU},
    {"epp", 700, TU},
    {"sae-urn", 4500, U},
    {"ipsec-nat-t", 4500, U},
    {"sip", 5060, TU},
    {"sip-tls", 5061, TU},
    {"xmpp-client", 5222, TU},
    {"xmpp-server", 5269, TU},
    {"mdns", 5353, TU},
    {"postgresql", 5432, TU},
    {"rfb", 5900, TU},
    {"amqps", 5671, TU},
    {"amqp", 5672, TU},
    {"x11", 6000, TU},
    {"sane-port", 6566, TU},
    {"ircu", 6667, TU},
    {"afs3-fileserver", 7000, TU},
    {"http-alt", 8080, TU},
    {"webcache", 8080, TU},
    {"spamd", 8025, T},
    {"bacula-dir", 9101, TU},
    {"bacula-fd", 9102, TU},
    {"bacula-sd", 9103, TU},
    {"git", 9418, TU},
    {"zabbix-agent", 10050, TU},
    {"zabbix-trapper", 10051, TU},
    {"wnn6", 22273, T},
};

static uint8_t of_proto(uint8_t proto)
{
	return proto == IPPROTO_TCP ? T : U;
}

const char *service_name(uint16_t port, uint8_t proto)
{
	for (size_t i = 0; i < ARRAY_SIZE(services); i++)
		if (services[i].port == port && services[i].of & of_proto(proto))
			return services[i].name;
	return NULL;
}

bool service_port(const char *name, uint8_t proto, uint16_t *port)
{
	for (size_t i = 0; i < ARRAY_SIZE(services); i++)
		if (str_eq(services[i].name, name) &&
		    (!proto || services[i].of & of_proto(proto))) {
			*port = services[i].port;
			return true;
		}
	return false;
}

const char *service_nearest(const char *name)
{
	const char *names[ARRAY_SIZE(services)];
	for (size_t i = 0; i < ARRAY_SIZE(services); i++)
		names[i] = services[i].name;
	return str_nearest(name, names, ARRAY_SIZE(names));
}

/* ---- ICMP ---- */

static const struct number types4[] = {
    {"echoreq", 8},    {"echorep", 0},    {"unreach", 3},    {"squench", 4},   {"redir", 5},
    {"althost", 6},    {"routeradv", 9},  {"routersol", 10}, {"timex", 11},    {"paramprob", 12},
    {"timereq", 13},   {"timerep", 14},   {"inforeq", 15},   {"inforep", 16},  {"maskreq", 17},
    {"maskrep", 18},   {"trace", 30},     {"dataconv", 31},  {"mobredir", 32}, {"ipv6-where", 33},
    {"ipv6-here", 34}, {"mobregreq", 35}, {"mobregrep", 36}, {"skip", 39},     {"photuris", 40},
};
static const struct number types6[] = {
    {"unreach", 1},      {"toobig", 2},       {"timex", 3},        {"paramprob", 4},
    {"echoreq", 128},    {"echorep", 129},    {"groupqry", 130},   {"listqry", 130},
    {"grouprep", 131},   {"listenrep", 131},  {"groupterm", 132},  {"listendone", 132},
    {"routersol", 133},  {"routeradv", 134},  {"neighbrsol", 135}, {"neighbradv", 136},
    {"redir", 137},      {"routrrenum", 138}, {"wrureq", 139},     {"wrurep", 140},
    {"fqdnreq", 139},    {"fqdnrep", 140},    {"niqry", 139},      {"nirep", 140},
    {"mtraceresp", 200}, {"mtrace", 201},
};
/* Codes: type << 8 | code. */
static const struct number codes4[] = {
    {"net-unr", 3 << 8},           {"host-unr", 3 << 8 | 1},
    {"proto-unr", 3 << 8 | 2},     {"port-unr", 3 << 8 | 3},
    {"needfrag", 3 << 8 | 4},      {"srcfail", 3 << 8 | 5},
    {"net-unk", 3 << 8 | 6},       {"host-unk", 3 << 8 | 7},
    {"isolate", 3 << 8 | 8},       {"net-prohib", 3 << 8 | 9},
    {"host-prohib", 3 << 8 | 10},  {"net-tos", 3 << 8 | 11},
    {"host-tos", 3 << 8 | 12},     {"filter-prohib", 3 << 8 | 13},
    {"host-preced", 3 << 8 | 14},  {"cutoff-preced", 3 << 8 | 15},
    {"redir-net", 5 << 8},         {"redir-host", 5 << 8 | 1},
    {"redir-tos-net", 5 << 8 | 2}, {"redir-tos-host", 5 << 8 | 3},
    {"normal-adv", 9 << 8},        {"common-adv", 9 << 8 | 16},
    {"transit", 11 << 8},          {"reassemb", 11 << 8 | 1},
    {"badhead", 12 << 8},          {"optmiss", 12 << 8 | 1},
    {"badlen", 12 << 8 | 2},       {"unknown-ind", 40 << 8},
    {"auth-fail", 40 << 8 | 1},    {"decrypt-fail", 40 << 8 | 2},
};
static const struct number codes6[] = {
    {"admin-unr", 1 << 8 | 1},  {"noroute-unr", 1 << 8},   {"notnbr-unr", 1 << 8 | 2},
    {"beyond-unr", 1 << 8 | 2}, {"addr-unr", 1 << 8 | 3},  {"port-unr", 1 << 8 | 4},
    {"transit", 3 << 8},        {"reassemb", 3 << 8 | 1},  {"badhead", 4 << 8},
    {"nxthdr", 4 << 8 | 1},     {"redironlink", 137 << 8}, {"redirrouter", 137 << 8 | 1},
};

const char *icmp_type_name(int type, int af)
{
	return af == AF_INET6 ? name_of(types6, ARRAY_SIZE(types6), type)
			      : name_of(types4, ARRAY_SIZE(types4), type);
}

int icmp_type_number(const char *name, int af)
{
	return af == AF_INET6 ? number_of(types6, ARRAY_SIZE(types6), name)
			      : number_of(types4, ARRAY_SIZE(types4), name);
}

const char *icmp_type_nearest(const char *name, int af)
{
	return af == AF_INET6 ? nearest(types6, ARRAY_SIZE(types6), name)
			      : nearest(types4, ARRAY_SIZE(types4), name);
}

const char *icmp_code_name(int type, int code, int af)
{
	return af == AF_INET6 ? name_of(codes6, ARRAY_SIZE(codes6), type << 8 | code)
			      : name_of(codes4, ARRAY_SIZE(codes4), type << 8 | code);
}

int icmp_code_number(int type, const char *name, int af)
{
	const struct number *v = af == AF_INET6 ? codes6 : codes4;
	size_t n = af == AF_INET6 ? ARRAY_SIZE(codes6) : ARRAY_SIZE(codes4);
	for (size_t i = 0; i < n; i++)
		if (v[i].n >> 8 == type && str_eq(v[i].name, name))
			return v[i].n & 0xff;
	return -1;
}

/* ---- type of service; timeouts ---- */

static const struct number services_of_type[] = {
    {"lowdelay", 0x10},   {"throughput", 0x08},  {"reliability", 0x04}, {"critical", 0xa0},
    {"netcontrol", 0xe0}, {"inetcontrol", 0xc0}, {"ef", 0xb8},          {"af11", 0x28},
    {"af12", 0x30},       {"af13", 0x38},        {"af21", 0x48},        {"af22", 0x50},
    {"af23", 0x58},       {"af31", 0x68},        {"af32", 0x70},        {"af33", 0x78},
    {"af41", 0x88},       {"af42", 0x90},        {"af43", 0x98},        {"cs0", 0x00},
    {"cs1", 0x20},        {"cs2", 0x40},         {"cs3", 0x60},         {"cs4", 0x80},
    {"cs5", 0xa0},        {"cs6", 0xc0},         {"cs7", 0xe0},
};

int tos_number(const char *name)
{
	return number_of(services_of_type, ARRAY_SIZE(services_of_type), name);
}

static const char *const timeouts[] = {
    "tcp.first",   "tcp.opening",    "tcp.established", "tcp.closing",      "tcp.finwait",
    "tcp.closed",  "sctp.first",     "sctp.opening",    "sctp.established", "sctp.closing",
    "sctp.closed", "udp.first",      "udp.single",      "udp.multiple",     "icmp.first",
    "icmp.error",  "other.first",    "other.single",    "other.multiple",   "frag",
    "interval",    "adaptive.start", "adaptive.end",    "src.track",        "tcp.tsdiff",
};

const char *timeout_at(size_t i)
{
	return i < ARRAY_SIZE(timeouts) ? timeouts[i] : NULL;
}

bool timeout_known(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(timeouts); i++)
		if (str_eq(timeouts[i], name))
			return true;
	return false;
}

const char *timeout_nearest(const char *name)
{
	return str_nearest(name, timeouts, ARRAY_SIZE(timeouts));
}
