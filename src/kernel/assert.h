/*
 * assert.h
 *		Assertions of floors 0 to 2, which know no postgres.h.
 *
 * On where the server has its own (the Makefile looks into pg_config.h) and in test/unit; elsewhere they cost nothing.  An array that is
 * filled in one function and sized in another says at the place of writing that there is room: src/graph/README.md, "Room".
 */
#ifndef QV_ASSERT_H
#define QV_ASSERT_H

#ifdef QV_ASSERTIONS
#include <stdio.h>
#include <stdlib.h>

/* As the server says it, so that what looks for one finds the other. */
static inline _Noreturn __attribute__((cold, unused)) void
qv_assert_failed(const char *condition, const char *file, int line)
{
	fprintf(stderr, "TRAP: FailedAssertion(\"%s\", File: \"%s\", Line: %d)\n", condition, file, line);
	fflush(stderr);
	abort();
}

#define QV_ASSERT(condition) \
	((condition) ? (void) 0 : qv_assert_failed(#condition, __FILE__, __LINE__))
#else
#define QV_ASSERT(condition)	((void) 0)
#endif

#endif							/* QV_ASSERT_H */
