/*
 * cost.c
 *		What an index scan costs, for the planner.
 *
 * Computed from the catalogs and the effort that the metapage says: no other page of the index is read.
 * README.md, section "Cost".
 */
#include "postgres.h"

#include <math.h>

#include "access/genam.h"
#include "access/sysattr.h"
#include "column/effort.h"
#include "column/options.h"
#include "planner/planner.h"
#include "store/curve.h"
#include "compat.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/paths.h"
#include "utils/float.h"
#include "utils/selfuncs.h"
#include "utils/spccache.h"

/*
 * Codes scored for each of ef_search: what graph_bench (test/bench/graph) counts on clustered
 * embeddings at m = 16: 270 at ef 20, 512 at 40.  doc/decisions/0036.
 */
#define CODES_PER_EF	12.0

/*
 * An index of no more rows for each of ef_search is passed over in order (scan/source.c).  Not so counted at the
 * default, for which CODES_PER_EF was chosen together with UNCACHED.
 */
#define FLAT_CODES_PER_EF	20

/*
 * Share of page visits that count as a read.  The index is a twentieth of its table, and every
 * search visits the same pages, so most of it stays cached.  Chosen by hand, so that the index
 * costs less than a sequential scan from some hundred rows on (sql/qhnsw_plan.sql).
 * doc/decisions/0036.
 */
#define UNCACHED		0.02

/*
 * In units of a code scored at a random place: a key of a filter column tested in order, and the
 * code of a row that passes.  As the scan counts (src/scan/source_walk.c); doc/decisions/0240.
 */
#define COST_OF_KEY		(1.0 / 64)
#define COST_OF_PASSING	0.5
#define COST_IN_ORDER	0.1

/* Rows that the start-up cost counts with: those of a LIMIT of ten. */
#define FIRST_ROWS		10

/* Does a clause read columns of the index behind its key columns, and no others? */
static bool
reads_stored_columns(const IndexOptInfo *info, Node *clause, bool with_keys)
{
	Bitmapset  *attnos = NULL;
	int			member = -1;
	int			first = with_keys ? 1 : info->nkeycolumns;

	pull_varattnos(clause, info->rel->relid, &attnos);
	while ((member = bms_next_member(attnos, member)) >= 0)
	{
		int			i = first;

		while (i < info->ncolumns && info->indexkeys[i] != member + FirstLowInvalidHeapAttributeNumber)
			i++;
		if (i == info->ncolumns)
			return false;
	}
	return !bms_is_empty(attnos);
}

/* May the scan make a test of keys of it, though it is no condition of the index? */
static bool
is_on_keys(const IndexOptInfo *info, Node *clause)
{
	return (IsA(clause, ScalarArrayOpExpr) || IsA(clause, Var) || IsA(clause, BooleanTest) ||
			(IsA(clause, BoolExpr) && ((BoolExpr *) clause)->boolop == NOT_EXPR)) &&
		reads_stored_columns(info, clause, true);
}

/* Shares of the rows of the index that pass. */
typedef struct Shares
{
	Selectivity own;			/* the conditions of the index */
	Selectivity keys;			/* these, and others on keys that the scan reads from the filter */
	Selectivity stored;			/* those, and conditions on INCLUDE columns */
} Shares;

/* What plan_conditions.c will find, about. */
static Shares
estimate_shares(PlannerInfo *root, IndexPath *path)
{
	const IndexOptInfo *info = path->indexinfo;
	List	   *keys = get_quals_from_indexclauses(path->indexclauses);
	List	   *stored = NIL;
	Shares		shares;
	ListCell   *cell;

	shares.own = clauselist_selectivity(root, keys, info->rel->relid, JOIN_INNER, NULL);
	foreach(cell, info->ncolumns > 1 ? info->rel->baserestrictinfo : NIL)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, cell);
		Node	   *clause = (Node *) rinfo->clause;

		if (rinfo->pseudoconstant || is_redundant_with_indexclauses(rinfo, path->indexclauses) ||
			contain_volatile_functions(clause) || contain_subplans(clause))
			continue;
		if (is_on_keys(info, clause))
			keys = lappend(keys, rinfo);
		else if (reads_stored_columns(info, clause, false))
			stored = lappend(stored, rinfo);
	}
	shares.keys = clauselist_selectivity(root, keys, info->rel->relid, JOIN_INNER, NULL);
	shares.stored = stored == NIL ? shares.keys :
		clauselist_selectivity(root, list_concat_copy(keys, stored), info->rel->relid, JOIN_INNER, NULL);
	return shares;
}

/* Can an index answer this?  It needs an order, and holds no row whose vector is NULL. */
static bool
is_possible(const IndexPath *path)
{
	ListCell   *cell;

	if (path->indexorderbys == NIL)
		return false;
	foreach(cell, path->indexclauses)
	{
		const IndexClause *clause = lfirst_node(IndexClause, cell);

		if (clause->indexcol == 0 && IsA(clause->rinfo->clause, NullTest) &&
			((NullTest *) clause->rinfo->clause)->nulltesttype == IS_NULL)
			return false;
	}
	return true;
}

/* Rows that are rescored for one that is wanted; 0 = none are. */
static double
rescored_per_row(Relation index, const QhColumn *column, const QhEffort *effort)
{
	if (!qh_option_rescore(index, column, qh_option_code_nbits(index, column)))
		return 0;
	return qh_option_refine_nbits(index) != 0 ? 1 : effort->oversample;
}

/* Codes scored, in units of one at a random place: for the first rows, and for all. */
typedef struct CodesScored
{
	double		first;
	double		all;
} CodesScored;

/* Where a share of the rows passes conditions on keys (source_walk.c). */
static CodesScored
codes_behind_keys(double ntuples, double share, int ef)
{
	double		npassing = Max(ntuples * share, 1);
	double		pass = COST_OF_KEY * ntuples + Min(COST_OF_PASSING * npassing, COST_IN_ORDER * ntuples);
	double		walk = CODES_PER_EF * (ef + FIRST_ROWS * (ntuples / npassing - 1));
	CodesScored codes;

	codes.first = qhnsw_flat ? pass : Min(Min(walk, ntuples), pass);
	/* walking on costs no more than the pass that takes over */
	codes.all = codes.first + Min(CODES_PER_EF * ntuples, pass);
	return codes;
}

/* The effort that a scan will have. */
static QhEffort
planned_effort(Relation index, const QhColumn *column)
{
	QhCurveData curve = {0};

	if (qhnsw_ef_search == 0)
		(void) qh_curve_peek(index, &curve);
	return qh_effort(index, &curve, qh_option_code_nbits(index, column));
}

/* amcostestimate; its parameters are PostgreSQL's. */
void
qhnswcostestimate(PlannerInfo *root, IndexPath *path, double loop_count,
				  Cost *startup_cost, Cost *total_cost, Selectivity *selectivity,
				  double *correlation, double *pages)
{
	IndexOptInfo *info = path->indexinfo;
	double		ntuples = Max(info->tuples, 1);
	double		random_page_cost;
	double		seq_page_cost;
	CodesScored codes;
	double		per_code;
	double		per_fetch;
	double		nrescored;
	double		oversample;
	Shares		shares;
	QhEffort	effort;
	const QhColumn *column;
	QualCost	expression;
	Relation	index;

	if (!is_possible(path))
	{
		*startup_cost = *total_cost = get_float8_infinity();
		*selectivity = *correlation = 0;
		*pages = 0;
		qh_disable_path(&path->path);
		return;
	}

	get_tablespace_page_costs(info->reltablespace, &random_page_cost, &seq_page_cost);
	index = index_open(info->indexoid, NoLock);
	column = qh_column(index);
	effort = planned_effort(index, column);
	oversample = rescored_per_row(index, column, &effort);
	index_close(index, NoLock);
	shares = estimate_shares(root, path);

	per_code = cpu_operator_cost + UNCACHED * random_page_cost;
	codes.first = Min(CODES_PER_EF * effort.ef, ntuples);
	if (qhnsw_flat || (ntuples <= FLAT_CODES_PER_EF * effort.ef && effort.ef > QH_DEFAULT_EF_SEARCH))
	{
		codes.first = ntuples;
		per_code = cpu_operator_cost + seq_page_cost * info->pages / ntuples;
	}
	codes.all = codes.first + CODES_PER_EF * ntuples;
	if (shares.keys < 1)
		codes = codes_behind_keys(ntuples, shares.keys, effort.ef);

	/*
	 * a candidate rescored: its row is fetched, its vector detoasted or computed by the index's
	 * expression, and compared
	 */
	cost_qual_eval(&expression, info->indexprs, root);
	per_fetch = cpu_tuple_cost + 10 * cpu_operator_cost + 2 * UNCACHED * random_page_cost +
		expression.per_tuple;
	nrescored = Min(oversample > 0 ? oversample * FIRST_ROWS + 10 : 0, ntuples * shares.stored);

	*startup_cost = expression.startup + codes.first * per_code + nrescored * per_fetch;
	*total_cost = *startup_cost + (codes.all - codes.first) * per_code +
		ntuples * (shares.stored * oversample * per_fetch + shares.keys * cpu_index_tuple_cost);
	*selectivity = shares.own;
	*correlation = 0;
	*pages = Min(info->pages, codes.first);
}
