/* Names of numbers: what FreeBSD's pfctl, /etc/services and /etc/protocols call them, so that a
 * ruleset prints the same on every host. */
#ifndef NG_PF_NAMES_H
#define NG_PF_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* NULL, false or -1: there is none. Types and codes of ICMP: af AF_INET6 means ICMPv6. */
const char *proto_name(uint8_t proto);
bool proto_number(const char *name, uint8_t *proto);
const char *service_name(uint16_t port, uint8_t proto); /* proto: TCP's names, else UDP's */
bool service_port(const char *name, uint8_t proto, uint16_t *port); /* 0: of either */
const char *icmp_type_name(int type, int af);
int icmp_type_number(const char *name, int af);
const char *icmp_code_name(int type, int code, int af);
int icmp_code_number(int type, const char *name, int af);
int tos_number(const char *name);
const char *timeout_at(size_t i); /* all of them, in pf's order; NULL behind the last */
bool timeout_known(const char *name);
/* The nearest to a misspelt name, or NULL. */
const char *proto_nearest(const char *name);
const char *icmp_type_nearest(const char *name, int af);
const char *service_nearest(const char *name);
const char *timeout_nearest(const char *name);

#endif
