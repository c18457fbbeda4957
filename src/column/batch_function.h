/*
 * batch_function.h
 *		The function that an index on an expression names to compute many values at once.
 *
 * Floor 4.  See BATCHES.md in this folder.
 */
#ifndef QH_BATCH_FUNCTION_H
#define QH_BATCH_FUNCTION_H

#include "postgres.h"

#include "nodes/primnodes.h"
#include "utils/rel.h"

/* A batch function, looked up, and what it is called with. */
typedef struct QhBatchFunction
{
	Oid			function;
	char	   *name;			/* for messages */
	int			size;			/* values a call, at most */
	FuncExpr   *call;			/* the index's expression, as it was written */
	Expr	   *argument;		/* of that */
	Oid			type;			/* of the argument, and what is known of that type */
	int16		typlen;
	bool		typbyval;
	char		typalign;
} QhBatchFunction;

/*
 * The batch function of an index that names one.  An error if there is no such function, or one
 * that does not fit the index's expression, or that the user may not call.
 */
extern void qh_batch_function(Relation index, QhBatchFunction *out);

#endif							/* QH_BATCH_FUNCTION_H */
