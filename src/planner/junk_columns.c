/*
 * junk_columns.c
 *		Keeps plans from computing a distance that no node reads.
 *
 * The expression of ORDER BY is a junk column of every plan below the sort, also where the index
 * gives the order and there is no sort to read it.  The executor would fetch each row's vector,
 * or evaluate the index's expression, once more, and throw the result away.  A hook puts NULL in
 * its place.  Must not know scans.  README.md, section "Junk columns".
 */
#include "postgres.h"

#include "planner/planner.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "optimizer/planner.h"
#include "optimizer/tlist.h"

static create_upper_paths_hook_type next_hook = NULL;

/*
 * Is this a scan of a qhnsw index in the order of a distance, with nothing above it but a
 * projection?
 */
static bool
is_ordered_scan(const Path *path)
{
	const IndexPath *scan = (const IndexPath *) path;

	if (IsA(path, ProjectionPath))
		scan = (const IndexPath *) ((const ProjectionPath *) path)->subpath;
	return IsA(scan, IndexPath) && scan->indexorderbys != NIL &&
		scan->indexinfo->amcostestimate == qhnswcostestimate;
}

/* The same target with NULL in the place of columns that are there for ORDER BY alone. */
static PathTarget *
without_sort_columns(PlannerInfo *root, const PathTarget *target)
{
	PathTarget *result = copy_pathtarget(unconstify(PathTarget *, target));
	ListCell   *expr;
	ListCell   *entry;

	forboth(expr, result->exprs, entry, root->processed_tlist)
	{
		const TargetEntry *column = lfirst_node(TargetEntry, entry);
		Node	   *distance = lfirst(expr);

		if (column->resjunk && column->ressortgroupref != 0)
			lfirst(expr) = makeNullConst(exprType(distance), exprTypmod(distance), exprCollation(distance));
	}
	return result;
}

/* A copy of a path, of nbytes, with another target. */
static Path *
copy_path(const Path *path, Size nbytes, PathTarget *target)
{
	Path	   *copy = palloc(nbytes);

	memcpy(copy, path, nbytes);
	copy->pathtarget = target;
	return copy;
}

/*
 * The same path with NULL in those columns; the path itself where there is nothing to leave out.
 *
 * A junk column is not visible above its own query.  Within the query LIMIT ... WITH TIES reads
 * it.  Other nodes that may read it (a sort, a merge, row locks) would stand between the scan and
 * the LIMIT, and no such plan is changed.  Paths are copied: the same path may be in the lists of
 * other relations, and other hooks may hold it.
 */
static Path *
leave_junk_out(PlannerInfo *root, Path *path)
{
	Path	   *scan = path;
	PathTarget *target;

	if (IsA(path, LimitPath))
	{
		if (((LimitPath *) path)->limitOption != LIMIT_OPTION_COUNT)
			return path;
		scan = ((LimitPath *) path)->subpath;
	}
	if (!is_ordered_scan(scan) || list_length(scan->pathtarget->exprs) != list_length(root->processed_tlist))
		return path;
	target = without_sort_columns(root, scan->pathtarget);
	scan = copy_path(scan, IsA(scan, ProjectionPath) ? sizeof(ProjectionPath) : sizeof(IndexPath), target);
	if (!IsA(path, LimitPath))
		return scan;
	path = copy_path(path, sizeof(LimitPath), target);
	((LimitPath *) path)->subpath = scan;
	return path;
}

/* create_upper_paths_hook */
static void
upper_paths(PlannerInfo *root, UpperRelationKind stage, RelOptInfo *input_rel,
			RelOptInfo *output_rel, void *extra)
{
	List	   *paths = NIL;
	ListCell   *cell;

	if (next_hook != NULL)
		next_hook(root, stage, input_rel, output_rel, extra);
	if (stage != UPPERREL_FINAL || root->parse->commandType != CMD_SELECT)
		return;
	foreach(cell, output_rel->pathlist)
		paths = lappend(paths, leave_junk_out(root, lfirst(cell)));
	output_rel->pathlist = paths;
}

void
qh_junk_columns_init(void)
{
	next_hook = create_upper_paths_hook;
	create_upper_paths_hook = upper_paths;
}
