/*
 * dims.h
 *		Numbers of dimensions: type modifiers, limits and agreement.
 *
 * Shared by both types and by real[]; knows the layout of none of them.
 * See README.md, "Dimensions and their errors".
 */
#ifndef QV_DIMS_H
#define QV_DIMS_H

#include "compat.h"

#include "nodes/nodes.h"
#include "utils/array.h"

/* Type modifier of type_name(n), 1 <= n <= max; throws on anything else. */
extern int32 dims_typmod_in(ArrayType *modifiers, const char *type_name, int max);

/*
 * True if a value of ndims dimensions may be stored under typmod (-1 allows
 * any number), or is of a number the type allows.  Otherwise reports to
 * escontext and returns false, or throws where escontext is NULL.
 */
extern bool dims_match_typmod(Node *escontext, int32 typmod, int64 ndims);
extern bool dims_in_range(Node *escontext, const char *type_name, int64 ndims, int max);

/* Throws: two operands of one operator differ in their number of dimensions. */
pg_noreturn extern void dims_differ(int a, int b);

static inline void
dims_check_same(int a, int b)
{
	if (unlikely(a != b))
		dims_differ(a, b);
}

/*
 * The part of 1..ndims that subvector(v, *start, *count) selects, clipped at
 * both ends as substring() clips; throws if nothing is left.  On return *start
 * counts from 0.
 */
extern void dims_clip(const char *type_name, int ndims, int32 *start, int32 *count);

#endif							/* QV_DIMS_H */
