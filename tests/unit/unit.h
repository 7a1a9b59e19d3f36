/* cmocka and what it wants included before it. */
#ifndef NG_TESTS_UNIT_H
#define NG_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
