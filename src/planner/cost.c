/*
 * cost.c
 *		What an index scan costs, for the planner.
 *
 * Computed from the catalogs alone: no page of the index is read.  README.md, section "Cost".
 */
#include "postgres.h"

#include <math.h>

#include "access/genam.h"
#include "column/effort.h"
#include "column/options.h"
#include "planner/planner.h"
#include "compat.h"
#include "nodes/pathnodes.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "utils/float.h"
#include "utils/selfuncs.h"
#include "utils/spccache.h"

/*
 * Codes scored for each of ef_search: what graph_bench (test/bench/graph) counts on clustered
 * embeddings at m = 16: 270 at ef 20, 512 at 40.  doc/decisions/0036.
 */
#define CODES_PER_EF	12.0

/*
 * Share of page visits that count as a read.  The index is a twentieth of its table, and every
 * search visits the same pages, so most of it stays cached.  Chosen by hand, so that the index
 * costs less than a sequential scan from some hundred rows on (sql/qhnsw_plan.sql).
 * doc/decisions/0036.
 */
#define UNCACHED		0.02

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
	double		ncodes;
	double		per_code;
	double		per_fetch;
	double		nrescored;
	double		oversample;
	int			code_nbits;
	int			ef;
	const QhColumn *column;
	Cost		per_row;
	QualCost	expression;
	Relation	index;

	/* without an order there is nothing this index can do */
	if (path->indexorderbys == NIL)
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
	oversample = 0;
	code_nbits = qh_option_code_nbits(index, column);
	if (qh_option_rescore(index, column, code_nbits))
		oversample = qh_option_refine_nbits(index) != 0 ? 1 : qh_option_oversample(index, code_nbits);
	ef = qh_effort_planned(index);
	index_close(index, NoLock);

	per_code = cpu_operator_cost + UNCACHED * random_page_cost;
	ncodes = Min(CODES_PER_EF * ef, ntuples);
	if (qhnsw_flat)
	{
		ncodes = ntuples;
		per_code = cpu_operator_cost + seq_page_cost * info->pages / ntuples;
	}

	/*
	 * a candidate rescored: its row is fetched, its vector detoasted or computed by the index's
	 * expression, and compared
	 */
	cost_qual_eval(&expression, info->indexprs, root);
	per_fetch = cpu_tuple_cost + 10 * cpu_operator_cost + 2 * UNCACHED * random_page_cost +
		expression.per_tuple;
	nrescored = Min(oversample > 0 ? oversample * 10 + 10 : 0, ntuples);

	*startup_cost = expression.startup + ncodes * per_code + nrescored * per_fetch;
	per_row = CODES_PER_EF * per_code + oversample * per_fetch + cpu_index_tuple_cost;
	*total_cost = *startup_cost + ntuples * per_row;
	*selectivity = 1;
	*correlation = 0;
	*pages = Min(info->pages, ncodes);
}
