/*
 * budget.c
 *		How far a graph search goes before a row is returned.
 *
 * How many candidates the rows wanted take, and how many nodes are expanded to find them: a number for most searches,
 * and for one query or the other more or fewer by how near the nodes found are.  Must not touch pages.  README.md, section
 * "How far a search goes".
 */
#include "postgres.h"

#include <math.h>

#include "scan/scan.h"

/*
 * Of the candidates that are fetched for the rows wanted a share is expanded, and some of ef_search in addition.  With finer codes, which cost
 * less than expanding a node, as many as ef_search and the rows wanted, or a share of oversample times these: not of those that are refined
 * besides.  Measured: README.md, sections "Rescoring" and "Refining".
 */
#define EXPANDED_SHARE			0.75
#define EXPANDED_BESIDES		1.25
#define EXPANDED_SHARE_REFINED	0.9
/* Times ef_search for inner products, where all queries are treated alike. */
#define EXPANDED_REFINED_IP		2

/*
 * The nodes within 1 + slack of the distance of the k-th nearest grow in number as EXPANDED_NEAR x k x exp(REACH_GROWTH x slack): measured
 * with bits of words and of synthetic embeddings, and the same for both.  Whatever the data, as many are expanded as these two shares of
 * what is meant, and no more.
 */
#define EXPANDED_NEAR			1.25
#define REACH_GROWTH			13.5
#define EXPANDED_LEAST			0.5
#define EXPANDED_MOST			2

/*
 * Where pages are spared (README.md, section "Cold"): so many times as many nodes are expanded, for near the query that takes hardly a page more;
 * of the rows wanted the neighbours of the first half do not wait.  Until SPARED times the candidates were taken, what lies beyond is
 * likely to be a few more for the same rows.
 */
#define EXPANDED_SPARING		(4.0 / 3)
#define WHOLE_SHARE				0.5
#define SPARED					2

/*
 * Candidates a search keeps behind the last one taken, in units of ef_search: the last of a window are the
 * worst found.  Finer codes that have the last word are held to more, as their order is nearly that of the
 * values: bge-base embeddings, LIMIT 10, qhnsw.rescore = off, recall .958 at half, .991 at three (4x).
 */
#define BEHIND_FINER			3
/* Bits a dimension from which codes are that fine. */
#define FINER_NBITS				4

/* Where codes alone decide, candidates kept behind for each row wanted: README.md, section "Rows wanted". */
#define BEHIND_WANTED			2

/*
 * In strict order a row that is found late cannot be put in its place.  Beyond the rows that the plan is known to take,
 * what is kept behind grows with the rows taken, and estimates are doubted by up to MAX_MARGIN of their
 * standard errors, reached at the 75th row.  Measured: README.md, section "Strict order".
 */
#define BEHIND_DEEP				2
#define MARGIN_SLOPE			4.0
#define MAX_MARGIN				3.5

/*
 * Beyond so many rows that no plan told of, and one in so many of all slots, a pass over all codes costs less than what was
 * returned already, and finds every node: chosen by hand.
 */
#define DEEP_LEAST				100
#define DEEP_FRACTION			3000

/*
 * Where a stage takes this many candidates or more of all slots, a pass over all codes is preferred: in order a
 * code costs an eighth of one at a random place.
 */
#define FLAT_CODES_DEEP			100

double
qh_scan_candidates(const QhScan *scan, double rank)
{
	if (qhnsw_iterative_scan == QH_ITERATIVE_OFF)
		return 0;
	if (scan->ix->refine_codec != NULL)
		return qh_refine_candidates(scan, rank);
	if (scan->rescore)
		return qh_rescore_candidates(scan, rank);
	return rank;
}

bool
qh_scan_is_deep_and_strict(const QhScan *scan)
{
	return qhnsw_iterative_scan == QH_ITERATIVE_STRICT && !scan->planned && scan->ntaken >= QH_LEAST_WANTED;
}

double
qh_scan_error_margin(const QhScan *scan)
{
	if (!qh_scan_is_deep_and_strict(scan))
		return 0;
	return Min(MARGIN_SLOPE * log10(scan->stage / QH_LEAST_WANTED), MAX_MARGIN);
}

/* Candidates to be known behind the next one before it is taken. */
static uint64
candidates_behind(const QhScan *scan)
{
	bool		refines = scan->ix->refine_codec != NULL;
	uint64		behind = scan->ef / 2;

	/* what is looked at in the heap, at a hundred times the cost of a code, wants to be the right */
	if (scan->rescore || refines)
		behind = scan->ef;
	else if (scan->ix->meta.code_nbits >= FINER_NBITS)
		behind = BEHIND_FINER * scan->ef;
	if (!scan->rescore && !refines && scan->stage > QH_LEAST_WANTED)
		behind = Max(behind, (uint64) (BEHIND_WANTED * scan->stage));
	if (qh_scan_is_deep_and_strict(scan))
		behind = Max(behind, BEHIND_DEEP * Max(scan->npulled, (uint64) scan->ef));
	return behind;
}

/* Candidates to be expanded, those taken included, before the nfound-th is taken, the last of those for the rows wanted or one before. */
static uint64
expanded_for_wanted(const QhScan *scan, uint64 nfound)
{
	if (scan->ix->refine_codec != NULL)
	{
		double		ef = scan->column->metric == QV_METRIC_IP ? EXPANDED_REFINED_IP * scan->ef : scan->ef;

		return (uint64) Max(ef + scan->stage, EXPANDED_SHARE_REFINED * scan->oversample * scan->stage);
	}
	if (scan->rescore)
		return (uint64) (EXPANDED_BESIDES * scan->ef + EXPANDED_SHARE * nfound);
	return Max((uint64) scan->ef, nfound + candidates_behind(scan));
}

/*
 * How many times the estimate of the rank-th nearest one may be of a node that is expanded, for ef of them to be expanded on average; 0 where estimates
 * are no distances.
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

/* What the graph search is to do for the stage. */
static void
set_budget(QhScan *scan)
{
	bool		sparing = scan->rs.store.place != NULL;
	uint64		ef;

	memset(&scan->budget, 0, sizeof(scan->budget));
	scan->ncandidates = qh_scan_candidates(scan, scan->stage);
	scan->most_near = 0;
	if (scan->ncandidates == 0)
		return;
	ef = expanded_for_wanted(scan, (uint64) scan->ncandidates);
	if (sparing)
	{
		ef = (uint64) (EXPANDED_SPARING * ef);
		scan->budget.whole_total = (uint64) ceil(WHOLE_SHARE * scan->stage);
	}
	scan->budget.ef_total = ef;
	scan->budget.found_total = (uint64) scan->ncandidates;
	scan->budget.reach = (float) reach_for(scan->column->metric, ef, scan->stage);
	if (scan->budget.reach == 0)
		return;
	scan->budget.rank = (uint64) scan->stage;
	if (scan->npulled >= scan->budget.rank && scan->source == QH_SOURCE_GRAPH)
		scan->budget.rank_dist = scan->pulled[scan->budget.rank - 1].dist;
	scan->budget.ef_total = Max((uint64) (EXPANDED_LEAST * ef), Min(ef, scan->budget.rank));
	scan->budget.most_total = EXPANDED_MOST * ef;
	if (scan->ix->refine_codec != NULL)
		scan->most_near = scan->budget.most_total;
}

/* Where no plan tells: the first of 10, 15, 20, 30, 50, 70, 100, 150 and so on behind ntaken rows. */
static uint64
round_end(uint64 ntaken)
{
	static const double steps[] = {1, 1.5, 2, 3, 5, 7};

	for (double scale = QH_LEAST_WANTED;; scale *= 10)
	{
		for (int i = 0; i < lengthof(steps); i++)
		{
			if (scale * steps[i] > ntaken)
				return (uint64) (scale * steps[i]);
		}
	}
}

/* Rows up to which the stage behind ntaken rows decides.  Those that the plan takes are a page, and those it passes over are the pages before. */
static uint64
stage_end(const QhScan *scan, uint64 ntaken)
{
	uint64		wanted = (uint64) scan->wanted;
	uint64		page = (uint64) scan->page;

	if (ntaken >= wanted || page == 0)
		return round_end(ntaken);
	return ntaken + page - (ntaken + page - wanted % page) % page;
}

bool
qh_scan_takes_many(const QhScan *scan, double rank)
{
	return rank > QH_LEAST_WANTED && scan->ix->nslots <= FLAT_CODES_DEEP * qh_scan_candidates(scan, rank);
}

void
qh_scan_next_stage(QhScan *scan)
{
	scan->stage_end = stage_end(scan, Max(scan->ntaken, scan->stage_end));
	scan->stage = Max(scan->stage_end, QH_LEAST_WANTED);
	scan->planned = scan->wanted > scan->ntaken;
	set_budget(scan);
	if (qh_scan_takes_many(scan, scan->stage) ||
		(qh_scan_is_deep_and_strict(scan) && scan->ntaken >= Max(DEEP_LEAST, scan->ix->nslots / DEEP_FRACTION)))
		scan->leaves_graph = true;
}

QhBudget
qh_scan_next_budget(const QhScan *scan, int *max)
{
	uint64		next = scan->npulled + 1;
	uint64		known = Max((uint64) scan->ncandidates, scan->most_near);
	QhBudget		budget = scan->budget;

	if (qhnsw_iterative_scan == QH_ITERATIVE_OFF || next > known)
		*max = 1;
	if (qhnsw_iterative_scan == QH_ITERATIVE_OFF)
		return (QhBudget) {.ef_total = scan->ef};
	if (next > known)
		/* the scan has gone beyond what it was known to want, as it does behind a filter: there may be much more to come */
		return (QhBudget) {.ef_total = Max((uint64) scan->ef, next + candidates_behind(scan)), .found_total = next,
			.whole_total = next <= SPARED * known ? budget.whole_total : 0};
	*max = (int) Min((uint64) *max, known - scan->npulled);
	budget.found_total = Max(next, budget.found_total);
	return budget;
}
