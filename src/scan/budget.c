/*
 * budget.c
 *		How many candidates the rows wanted take, and how far the graph search goes for them.
 *
 * The search budget.  Most searches expand a number of nodes that follows from the rows wanted
 * and ef_search.  Part of that number depends on the query: it grows where many nodes are nearly
 * as near as the last row wanted, and shrinks where few are.  This file is arithmetic on the
 * scan's state; it must not read pages.  README.md, section "Search budget".
 */
#include "postgres.h"

#include <math.h>

#include "scan/scan_state.h"

/*
 * Candidates that are found beyond oversample times the rows wanted, before the first is fetched:
 * about so many stay in doubt.  doc/decisions/0030.
 */
#define DOUBTED_MORE			9

/*
 * Where a finer code has put the candidates in order: a share of the rows wanted that is fetched
 * beyond them in any case, for doubt takes as many and costs a batch of its own; and candidates
 * found at least.  doc/decisions/0029 and 0130.
 */
#define FETCHED_SHARE_INT2		4
#define FETCHED_SHARE_INT4		10
#define FETCHED_SHARE_INT8		25
#define DOUBTED_MORE_INT2		9
#define DOUBTED_MORE_INT4		5
#define DOUBTED_MORE_INT8		2

/*
 * Candidates refined beyond oversample times the rows wanted.  More than are fetched beyond them,
 * for a finer code costs a hundredth of a row of the table.  doc/decisions/0029.
 */
#define REFINED_MORE			20

/*
 * Nodes expanded where rows are fetched: a share of the candidates that are, and times ef_search;
 * at least so many for each row of a stage of more than ten, however few candidates wide codes
 * need.  doc/decisions/0028 and 0131.
 */
#define EXPANDED_SHARE			0.75
#define EXPANDED_BESIDES		1.25
#define EXPANDED_PER_ROW		2.5

/*
 * Nodes expanded where finer codes put candidates in order: ef_search and the rows wanted, or
 * this share of oversample times the rows wanted if that is more.  What is refined beyond that
 * (REFINED_MORE) is not expanded, for a finer code costs less than an expansion.  Under the inner
 * product, where the budget cannot adapt to the query, ef_search counts several times.
 * doc/decisions/0028 and 0029.
 */
#define EXPANDED_SHARE_REFINED	0.9
#define EXPANDED_REFINED_IP		2

/*
 * Adapting to the query: within 1 + slack of the distance of the k-th nearest node there are
 * about EXPANDED_NEAR x k x exp(REACH_GROWTH x slack) nodes.  Whatever the data, as many nodes
 * are expanded as the share EXPANDED_LEAST of what is meant, and no more than EXPANDED_MOST times
 * that.  doc/decisions/0028.
 */
#define EXPANDED_NEAR			1.25
#define REACH_GROWTH			13.5
#define EXPANDED_LEAST			0.5
#define EXPANDED_MOST			2

/*
 * Where the index is larger than shared buffers, the search defers neighbours on pages that it
 * has not read.  So many times as many nodes are expanded then: near the query that reads hardly
 * a page more.  Neighbours of the nearest nodes are not deferred, up to this share of the rows
 * wanted.  Once a scan has gone beyond DEFERRED_UNTIL times the candidates it was to look at,
 * many more may be to come, and none is deferred.  doc/decisions/0032.
 */
#define EXPANDED_COLD			(4.0 / 3)
#define NOT_DEFERRED			0.5
#define DEFERRED_UNTIL			2

/*
 * Candidates found behind the one that is taken, in units of ef_search, so that those taken are
 * the right ones: half where codes decide, 1 where each candidate costs a fetch, and more for
 * codes of so many bits that decide by themselves, whose order is nearly that of the values.
 * doc/decisions/0030.
 */
#define BEHIND_FINER			3
#define BEHIND_FINER_NBITS		4

/* The same for each row wanted, where codes decide.  doc/decisions/0027. */
#define BEHIND_WANTED			2

/*
 * Standard errors by which an estimate is doubted fall from the tenth row to this share of them at
 * the hundredth, for there one row missed is a smaller part of the answer, and many more are in
 * doubt.  doc/decisions/0130.
 */
#define MARGIN_OF_HUNDRED		0.5

/*
 * Candidates that are looked at for doubt alone, times ef_search, the rows of the stage, or those
 * found before a lower bound.
 * doc/decisions/0130.
 */
#define MOST_DOUBTED			10

/*
 * In strict order a row that is found late cannot be put in its place.  Beyond the rows that the
 * plan is known to take, the candidates found behind grow with those taken, and estimates are
 * doubted: the error margin grows with the rank, up to MAX_MARGIN standard errors at the 75th
 * row.  doc/decisions/0031.
 */
#define BEHIND_STRICT			2
#define MARGIN_SLOPE			4.0
#define MAX_MARGIN				3.5

/*
 * In strict order and beyond what the plan told: after so many rows, and one for so many slots, a
 * pass over all codes costs less than what was returned already, and misses no node.  Chosen by
 * hand; doc/decisions/0031.
 */
#define FLAT_STRICT_ROWS		100
#define FLAT_STRICT_FRACTION	3000

/*
 * A pass over all codes is preferred in an index of no more slots than this for each candidate
 * that a stage takes: in order a code costs an eighth of one at a random place.
 * doc/decisions/0034.
 */
#define FLAT_SLOTS_PER_CANDIDATE	100

/* ---- candidates ---- */

double
qh_budget_refined(const QhScan *scan, double rank)
{
	return scan->q.oversample * rank + REFINED_MORE;
}

static double
fetched_share(int refine_nbits)
{
	return refine_nbits >= 8 ? FETCHED_SHARE_INT8 : refine_nbits >= 4 ? FETCHED_SHARE_INT4 : FETCHED_SHARE_INT2;
}

static double
doubted_more(int refine_nbits)
{
	return refine_nbits >= 8 ? DOUBTED_MORE_INT8 : refine_nbits >= 4 ? DOUBTED_MORE_INT4 : DOUBTED_MORE_INT2;
}

double
qh_budget_rescored(const QhScan *scan, double rank)
{
	int			refine_nbits = scan->q.ix->meta.refine_nbits;

	if (!scan->q.rescore)
		return rank;
	if (refine_nbits == 0)
		return scan->q.oversample * rank;
	return rank + floor(rank / fetched_share(refine_nbits));
}

double
qh_budget_expected(const QhScan *scan, double rank)
{
	int			refine_nbits = scan->q.ix->meta.refine_nbits;
	double		fetched = qh_budget_rescored(scan, rank);

	if (!scan->q.rescore)
		return fetched;
	if (refine_nbits == 0)
		return fetched + DOUBTED_MORE;
	return Max(fetched, rank + doubted_more(refine_nbits));
}

double
qh_budget_doubted(const QhScan *scan)
{
	return MOST_DOUBTED * Max(Max(scan->q.ef, scan->q.stage.rank), scan->q.nbefore);
}

double
qh_budget_candidates(const QhScan *scan, double rank)
{
	if (qhnsw_iterative_scan == QH_ITERATIVE_OFF)
		return 0;
	if (scan->q.ix->refine_codec != NULL)
		return qh_budget_refined(scan, rank);
	return qh_budget_expected(scan, rank);
}

bool
qh_budget_prefers_flat(const QhScan *scan, double rank)
{
	return rank > QH_MIN_STAGE &&
		scan->q.ix->nslots <= FLAT_SLOTS_PER_CANDIDATE * qh_budget_candidates(scan, rank);
}

/* ---- strict order ---- */

/*
 * Is the scan beyond the first stage and beyond what the plan told, in an order that a late row
 * cannot be put into?
 */
static bool
is_strict_and_unplanned(const QhScan *scan)
{
	return qhnsw_iterative_scan == QH_ITERATIVE_STRICT &&
		!scan->q.stage.planned && scan->q.ntaken >= QH_MIN_STAGE;
}

/* Standard errors by which estimates are doubted in the stage. */
static double
error_margin(const QhScan *scan)
{
	double		growth = log10(scan->q.stage.rank / QH_MIN_STAGE);
	double		margin = scan->q.doubted * (1 + (MARGIN_OF_HUNDRED - 1) * Min(growth, 1));

	if (!is_strict_and_unplanned(scan))
		return margin;
	return Max(margin, Min(MARGIN_SLOPE * growth, MAX_MARGIN));
}

/* ---- the budget of a stage ---- */

/* Candidates to be found behind the next one before it is taken. */
static uint64
candidates_behind(const QhScan *scan)
{
	const QhQueryState *q = &scan->q;
	bool		refines = q->ix->refine_codec != NULL;
	uint64		behind = q->ef / 2;

	if (q->rescore || refines)
		behind = q->ef;
	else if (q->ix->meta.code_nbits >= BEHIND_FINER_NBITS)
		behind = BEHIND_FINER * q->ef;
	if (!q->rescore && !refines && q->stage.rank > QH_MIN_STAGE)
		behind = Max(behind, (uint64) (BEHIND_WANTED * q->stage.rank));
	if (is_strict_and_unplanned(scan))
		behind = Max(behind, BEHIND_STRICT * Max(q->from_graph.n, (uint64) q->ef));
	return behind;
}

/* Nodes to be expanded, on average over queries, for a stage that takes so many candidates. */
static uint64
expanded_for_stage(const QhScan *scan, uint64 ncandidates)
{
	const QhQueryState *q = &scan->q;

	if (q->ix->refine_codec != NULL)
	{
		double		ef = scan->column->metric == QV_METRIC_IP ? EXPANDED_REFINED_IP * q->ef : q->ef;

		return (uint64) Max(ef + q->stage.rank, EXPANDED_SHARE_REFINED * q->oversample * q->stage.rank);
	}
	if (q->rescore)
	{
		double		least = q->stage.rank > QH_MIN_STAGE ? EXPANDED_PER_ROW * q->stage.rank : 0;

		return (uint64) Max(EXPANDED_BESIDES * q->ef + EXPANDED_SHARE * ncandidates, least);
	}
	return Max((uint64) q->ef, ncandidates + candidates_behind(scan));
}

/*
 * The factor of the estimate of the rank-th nearest node up to which nodes are expanded, for ef
 * of them to be on average. 0 where estimates are not distances, and the budget cannot adapt to
 * the query.
 */
static double
reach_for(QvMetric metric, double ef, double rank)
{
	double		slack = log(Max(ef / (EXPANDED_NEAR * rank), 1)) / REACH_GROWTH;

	switch (metric)
	{
		case QV_METRIC_HAMMING:
		case QV_METRIC_JACCARD:
			return 1 + slack;
		case QV_METRIC_L2:		/* estimates are squared distances, or half of those of unit vectors */
		case QV_METRIC_COSINE:
			return (1 + slack) * (1 + slack);
		case QV_METRIC_IP:
			break;
	}
	return 0;
}

/* Let the budget adapt to the query: fewer nodes for certain, and more where they are near. */
static void
adapt_budget(QhScan *scan, uint64 ef)
{
	const QhCandidateList *from_graph = &scan->q.from_graph;
	QhStage    *stage = &scan->q.stage;
	QhBudget   *budget = &stage->budget;

	budget->rank = (uint64) stage->rank;
	/* of an earlier stage, which has taken the candidate of this rank */
	if (from_graph->n >= budget->rank && !from_graph->by_node)
		budget->rank_dist = from_graph->cands[budget->rank - 1].dist;
	budget->ef_total = Max((uint64) (EXPANDED_LEAST * ef), Min(ef, budget->rank));
	budget->most_total = EXPANDED_MOST * ef;
	if (scan->q.ix->refine_codec != NULL)
		stage->max_near = budget->most_total;
}

/* What the graph search is to do for the stage. */
static void
set_budget(QhScan *scan)
{
	QhStage    *stage = &scan->q.stage;
	QhBudget   *budget = &stage->budget;
	bool		is_cold = scan->rs.store.place != NULL;
	uint64		ef;

	memset(budget, 0, sizeof(*budget));
	stage->ncandidates = qh_budget_candidates(scan, stage->rank);
	stage->max_near = 0;
	if (stage->ncandidates == 0)
		return;
	ef = expanded_for_stage(scan, (uint64) stage->ncandidates);
	if (is_cold)
	{
		ef = (uint64) (EXPANDED_COLD * ef);
		budget->whole_total = (uint64) ceil(NOT_DEFERRED * stage->rank);
	}
	budget->ef_total = ef;
	budget->found_total = (uint64) stage->ncandidates;
	budget->reach = (float) reach_for(scan->column->metric, ef, stage->rank);
	if (budget->reach != 0)
		adapt_budget(scan, ef);
}

/* ---- stages ---- */

/*
 * Where no plan tells, stages end at 10, 15, 20, 30, 50, 70, 100, 150 and so on: at the first of
 * these beyond ntaken rows.
 */
static uint64
unplanned_end(uint64 ntaken)
{
	static const double steps[] = {1, 1.5, 2, 3, 5, 7};

	for (double scale = QH_MIN_STAGE;; scale *= 10)
	{
		for (int i = 0; i < lengthof(steps); i++)
		{
			if (scale * steps[i] > ntaken)
				return (uint64) (scale * steps[i]);
		}
	}
}

/*
 * The last rank of the stage that begins behind ntaken rows.  What LIMIT hands on is a page, and
 * what OFFSET passes over are pages before it.
 */
static uint64
stage_end(const QhScan *scan, uint64 ntaken)
{
	uint64		wanted = (uint64) scan->q.wanted;
	uint64		page = (uint64) scan->q.page;

	if (ntaken >= wanted || page == 0)
		return unplanned_end(ntaken);
	return ntaken + page - (ntaken + page - wanted % page) % page;
}

/* Is the stage better decided by a pass over all codes than by the graph? */
static bool
stage_outgrows_graph(const QhScan *scan)
{
	uint64		nslots = scan->q.ix->nslots;

	if (qh_budget_prefers_flat(scan, scan->q.stage.rank))
		return true;
	return is_strict_and_unplanned(scan) &&
		scan->q.ntaken >= Max(FLAT_STRICT_ROWS, nslots / FLAT_STRICT_FRACTION);
}

void
qh_budget_next_stage(QhScan *scan)
{
	QhStage    *stage = &scan->q.stage;

	stage->end = stage_end(scan, Max(scan->q.ntaken, stage->end));
	stage->rank = Max(stage->end, QH_MIN_STAGE);
	stage->planned = scan->q.wanted > scan->q.ntaken;
	stage->margin = error_margin(scan);
	set_budget(scan);
	if (stage_outgrows_graph(scan))
		scan->q.leave_graph = true;
}

QhBudget
qh_budget_next(const QhScan *scan, int *max)
{
	const QhStage *stage = &scan->q.stage;
	uint64		next = scan->q.from_graph.n + 1;
	uint64		known = Max((uint64) stage->ncandidates, stage->max_near);
	QhBudget	budget = stage->budget;

	if (qhnsw_iterative_scan == QH_ITERATIVE_OFF || next > known)
		*max = 1;
	if (qhnsw_iterative_scan == QH_ITERATIVE_OFF)
		return (QhBudget) {.ef_total = scan->q.ef};
	if (next > known)
	{
		/* the scan has gone beyond the candidates it was to look at, as it does behind a filter */
		return (QhBudget)
		{
			.ef_total = Max((uint64) scan->q.ef, next + candidates_behind(scan)),
				.found_total = next,
				.whole_total = next <= DEFERRED_UNTIL * known ? budget.whole_total : 0
		};
	}
	*max = (int) Min((uint64) *max, known - scan->q.from_graph.n);
	budget.found_total = Max(next, budget.found_total);
	return budget;
}
