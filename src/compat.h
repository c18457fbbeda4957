/*
 * compat.h
 *		Everything that differs between PostgreSQL versions.
 *
 * The only place where PG_VERSION_NUM is tested.  Included before any other
 * header by every file from floor 3 up, so it also brings in postgres.h.
 * Knows no type and no index: see src/README.md for the floors.
 */
#ifndef QV_COMPAT_H
#define QV_COMPAT_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/guc.h"

#if PG_VERSION_NUM < 130000
#error "qvec needs PostgreSQL 13 or later"
#endif

/* The varlena macros left postgres.h in version 16. */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/*
 * Soft errors: since version 16 an input function may report bad input to the
 * caller instead of throwing.  Before that, reporting is throwing; the context
 * is then never set, and "dummy" is never returned.
 */
#if PG_VERSION_NUM >= 160000
#include "nodes/miscnodes.h"
#else
#define ereturn(context, dummy, ...) \
	do { \
		(void) (context); \
		ereport(ERROR, __VA_ARGS__); \
		return dummy; \
	} while (0)
#endif

/* Refuse unknown settings under a prefix: an error since 15, a warning before. */
#if PG_VERSION_NUM < 150000
#define MarkGUCPrefixReserved(prefix) EmitWarningsOnPlaceholders(prefix)
#endif

#endif							/* QV_COMPAT_H */
