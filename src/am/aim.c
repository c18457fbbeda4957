/*
 * aim.c
 *		How far a graph search goes before a row is returned.
 *
 * How many candidates the rows wanted take, and how many nodes are expanded to find them: a number for most searches,
 * and for one query or the other more or fewer by how near the nodes found are.  Must not touch pages.  README.md, section
 * "How far a search goes".
 */
#include "postgres.h"

#include <math.h>

#include "am/scan.h"

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
 * In strict order a row that is found late is lost.  Where it is not known how many rows are wanted,
 * what is kept behind grows with the rows taken, and estimates are doubted by up to MAX_CAUTION of their
 * standard errors, reached at the 56th row.  Measured: README.md, section "Strict order".
 */
#define BEHIND_DEEP				2
#define CAUTION_SLOPE			4.0
#define MAX_CAUTION				3.0

double
qh_scan_candidates(const QhScan *scan)
{
	double		n = scan->wanted;

	if (qhnsw_iterative_scan == QH_ITERATIVE_OFF || n == 0)
		return 0;
	if (scan->ix->refine_codec != NULL)
		return qh_refine_candidates(scan, Max(n, QH_LEAST_WANTED));
	if (scan->rescore)
		return qh_rescore_candidates(scan, Max(n, QH_LEAST_WANTED));
	return n;
}

bool
qh_scan_is_deep_and_strict(const QhScan *scan)
{
	return qhnsw_iterative_scan == QH_ITERATIVE_STRICT && scan->wanted == 0 &&
		scan->stats.nreturned >= QH_LEAST_WANTED;
}

double
qh_scan_caution(const QhScan *scan, double rank)
{
	if (qhnsw_iterative_scan != QH_ITERATIVE_STRICT || scan->wanted > 0 || rank <= QH_LEAST_WANTED)
		return 0;
	return Min(CAUTION_SLOPE * log10(rank / QH_LEAST_WANTED), MAX_CAUTION);
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
	if (!scan->rescore && !refines && scan->wanted > QH_LEAST_WANTED)
		behind = Max(behind, (uint64) (BEHIND_WANTED * scan->wanted));
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

		return (uint64) Max(ef + scan->wanted, EXPANDED_SHARE_REFINED * scan->oversample * scan->wanted);
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

void
qh_scan_take_aim(QhScan *scan)
{
	bool		sparing = scan->rs.store.place != NULL;
	uint64		ef;

	memset(&scan->aim, 0, sizeof(scan->aim));
	scan->ncandidates = qh_scan_candidates(scan);
	scan->most_near = 0;
	if (scan->ncandidates == 0)
		return;
	ef = expanded_for_wanted(scan, (uint64) scan->ncandidates);
	if (sparing)
	{
		ef = (uint64) (EXPANDED_SPARING * ef);
		scan->aim.whole_total = (uint64) ceil(WHOLE_SHARE * Max(scan->wanted, QH_LEAST_WANTED));
	}
	scan->aim.ef_total = ef;
	scan->aim.found_total = (uint64) scan->ncandidates;
	scan->aim.reach = (float) reach_for(scan->column->metric, ef, scan->wanted);
	if (scan->aim.reach == 0)
		return;
	scan->aim.rank = (uint64) ceil(scan->wanted);
	scan->aim.ef_total = Max((uint64) (EXPANDED_LEAST * ef), Min(ef, scan->aim.rank));
	scan->aim.most_total = EXPANDED_MOST * ef;
	if (scan->ix->refine_codec != NULL)
		scan->most_near = scan->aim.most_total;
}

QhAim
qh_scan_next_aim(const QhScan *scan, int *max)
{
	uint64		next = scan->npulled + 1;
	uint64		known = Max((uint64) scan->ncandidates, scan->most_near);
	QhAim		aim = scan->aim;

	if (qhnsw_iterative_scan == QH_ITERATIVE_OFF || next > known)
		*max = 1;
	if (qhnsw_iterative_scan == QH_ITERATIVE_OFF)
		return (QhAim) {.ef_total = scan->ef};
	if (next > known)
		/* the scan has gone beyond what it was known to want, as it does behind a filter: there may be much more to come */
		return (QhAim) {.ef_total = Max((uint64) scan->ef, next + candidates_behind(scan)), .found_total = next,
			.whole_total = next <= SPARED * known ? aim.whole_total : 0};
	*max = (int) Min((uint64) *max, known - scan->npulled);
	aim.found_total = Max(next, aim.found_total);
	return aim;
}
