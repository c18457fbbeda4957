/*
 * qvec.c
 *		The module: what happens when the library is loaded.
 *
 * Holds the setting qvec.simd and the function that shows it.  Knows the
 * kernels and, by their init functions only, the rooms above.  See
 * type/README.md, "Instruction sets".
 */
#include "compat.h"

#include "column/options.h"
#include "planner/planner.h"

#include "kernel/kernel.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/guc.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

PG_FUNCTION_INFO_V1(qvec_simd);

static char *simd_setting;

/* The name of a usable level as the kernels spell it, whatever the case; NULL if there is none. */
static const char *
usable_level(const char *name)
{
	bool		usable;
	const QvKernels *level;

	if (pg_strcasecmp(name, "auto") == 0)
		return "auto";
	for (int i = 0; (level = qv_kernels_level(i, &usable)) != NULL; i++)
		if (usable && pg_strcasecmp(name, level->name) == 0)
			return level->name;
	return NULL;
}

static bool
simd_check(char **newval, void **extra, GucSource source)
{
	bool		usable;
	const QvKernels *level;
	StringInfoData names;

	(void) source;
	*extra = NULL;
	if (usable_level(*newval) != NULL)
		return true;

	initStringInfo(&names);
	appendStringInfoString(&names, "auto");
	for (int i = 0; (level = qv_kernels_level(i, &usable)) != NULL; i++)
		if (usable)
			appendStringInfo(&names, ", %s", level->name);
	GUC_check_errdetail("This machine can run: %s.", names.data);
	pfree(names.data);
	return false;
}

static void
simd_assign(const char *newval, void *extra)
{
	(void) extra;
	/* the check hook has seen that this succeeds */
	qv_kernels_force(usable_level(newval));
}

void
_PG_init(void)
{
	DefineCustomStringVariable("qvec.simd",
							   "Instruction set that distances are computed with.",
							   "\"auto\" is the best this machine can run. Results are the same with all; qvec_simd() shows the one in use.",
							   &simd_setting,
							   "auto",
							   PGC_SUSET,
							   0,
							   simd_check,
							   simd_assign,
							   NULL);
	MarkGUCPrefixReserved("qvec");
	qhnsw_init();
	qh_junk_columns_init();
	qh_plan_init();
}

/* The instruction set in use. */
Datum
qvec_simd(PG_FUNCTION_ARGS)
{
	(void) fcinfo;
	PG_RETURN_TEXT_P(cstring_to_text(qv_kernels()->name));
}
