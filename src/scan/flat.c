/*
 * flat.c
 *		All codes of an index, best first: the exact scan behind qhnsw.flat, behind small
 *		indexes, and behind long scans that a graph would serve worse.
 *
 * One pass reads the code pages in order and keeps as many of the best as memory allows;
 * when those are used up, another pass looks for what comes behind them.
 */
#include "postgres.h"

#include <math.h>

#include "scan/scan.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "store/sweep.h"

/*
 * The least candidates the first pass keeps, and how that grows from pass to pass up to what memory allows:
 * putting many in order costs more than the scores, and most scans want few.
 */
#define FIRST_PASS	256
#define PASS_GROWTH 8

/* Put in order at once, at least; chosen by hand. */
#define LEAST_SORTED 128

/* By hand: so many times the rows that the plan wants, for some are deleted; so many times ef, where no plan says. */
#define PER_WANTED	4
#define PER_EF		16
/* Behind a lower bound: times the rows known to lie before it, times the candidates taken from the graph, and at least. */
#define PER_KNOWN	8
#define PER_PULLED	3
#define LEAST_BEHIND 1024

#define ST_SORT			sort_keys
#define ST_ELEMENT_TYPE uint64
#define ST_COMPARE(a, b)	((*(a) > *(b)) - (*(a) < *(b)))
#define ST_SCOPE		static
#define ST_DEFINE
#include "lib/sort_template.h"

#define SIGN			(UINT32_C(1) << 31)

/* A candidate as a number that orders as candidates do: by distance, and by node among equal ones.  No distance is NaN. */
static inline uint64
key_of(QhNode node, float dist)
{
	uint32		bits;

	dist += 0.0f;				/* zeros alike */
	memcpy(&bits, &dist, sizeof(bits));
	return (uint64) ((bits & SIGN) ? ~bits : bits | SIGN) << 32 | node;
}

static inline QhCandidate
candidate_of(uint64 key)
{
	uint32		bits = (uint32) (key >> 32);
	QhCandidate cand = {.node = (QhNode) key};

	bits = (bits & SIGN) ? bits & ~SIGN : ~bits;
	memcpy(&cand.dist, &bits, sizeof(bits));
	return cand;
}

/* Put the k least of n keys, all different, before the others: quickselect, whose pivots may lie anywhere, for keys come in any order. */
static void
select_least(uint64 *keys, int n, int k)
{
	int			low = 0;
	int			high = n;

	Assert(k <= n);
	/* those before low are among the least, those from high on are not */
	while (low < k && k < high)
	{
		int			at = low + (int) (murmurhash32((uint32) low ^ (uint32) high << 8) % (uint32) (high - low));
		uint64		pivot = keys[at];
		int			less = low;

		keys[at] = keys[low];
		for (int i = low + 1; i < high; i++)
		{
			uint64		key = keys[i];

			keys[i] = keys[less + 1];
			keys[less + 1] = key;
			less += key < pivot;
		}
		keys[low] = keys[less];
		keys[less] = pivot;
		if (k <= less)
			high = less;
		else
			low = less + 1;
	}
}

static int
compare_nodes(const void *a, const void *b)
{
	QhNode		x = ((const QhCandidate *) a)->node;
	QhNode		y = ((const QhCandidate *) b)->node;

	return (x > y) - (x < y);
}

/* Did the graph give this node before the pass began? */
static bool
was_pulled(const QhScan *scan, QhNode node)
{
	QhCandidate sought = {0, node};

	return scan->npulled > 0 &&
		bsearch(&sought, scan->pulled, scan->npulled, sizeof(QhCandidate), compare_nodes) != NULL;
}

/* Of more candidates than are wanted keep the nearest. */
static void
keep_nearest(QhFlat *flat)
{
	select_least(flat->best, flat->nbest, flat->max);
	flat->nbest = flat->max;
	flat->more = true;
	flat->worst = 0;
	for (int i = 0; i < flat->nbest; i++)
		flat->worst = Max(flat->worst, flat->best[i]);
}

static inline void
offer(QhScan *scan, QhNode node, float dist)
{
	QhFlat	   *flat = &scan->flat;
	uint64		key = key_of(node, dist);

	if (key >= flat->worst)
	{
		flat->more = true;
		return;
	}
	if (flat->bounded && key <= flat->bound)
		return;
	if (flat->nbest == flat->size)
		keep_nearest(flat);
	if (key < flat->worst)
		flat->best[flat->nbest++] = key;
}

static void
run_pass(QhScan *scan)
{
	QhFlat	   *flat = &scan->flat;
	QhSweep		sweep;
	QhSweepHits hits;

	flat->nbest = 0;
	flat->nsorted = 0;
	flat->next = 0;
	flat->more = false;
	flat->worst = PG_UINT64_MAX;
	qh_sweep_begin(&sweep, &scan->rs);
	for (float limit = INFINITY; qh_sweep_next(&sweep, limit, &hits);)
	{
		for (uint32 i = 0; i < hits.nnear; i++)
			offer(scan, hits.first + hits.near[i], hits.dist[i]);
		/* nearly all codes end here */
		if (hits.nnear < (uint32) hits.ncodes)
			flat->more = true;
		/* nodes come in the order of their ids, so one as far as the farthest kept is behind it */
		if (flat->worst != PG_UINT64_MAX)
			limit = candidate_of(flat->worst).dist;
	}
	qh_sweep_end(&sweep);
	if (flat->nbest > flat->max)
		keep_nearest(flat);
	flat->npasses++;
	scan->stats.nflat++;
}

/* Room for what a pass keeps, and for as many again, of which it keeps the nearest when that is full. */
static void
make_room(QhScan *scan)
{
	QhFlat	   *flat = &scan->flat;

	if (flat->best != NULL)
		pfree(flat->best);
	flat->size = 2 * flat->max;
	flat->best = MemoryContextAllocHuge(scan->query_cxt, sizeof(uint64) * (Size) flat->size);
}

/* Put more of those kept in order: most scans take few. */
static void
sort_more(QhFlat *flat)
{
	uint64	   *rest = flat->best + flat->nsorted;
	int			nrest = flat->nbest - flat->nsorted;
	int			n = Min(nrest, Max(LEAST_SORTED, flat->nsorted));

	select_least(rest, nrest, n);
	sort_keys(rest, n);
	flat->nsorted += n;
}

/* Who took many from the graph is likely to take as many again. */
static double
first_pass(const QhScan *scan, double ncandidates)
{
	double		n = ncandidates > 0 ? PER_WANTED * ncandidates : PER_EF * scan->ef;

	if (scan->bounded && scan->bounds.has_lower)
		n = Max(n, Max(Max(PER_KNOWN * scan->known_before, PER_PULLED * scan->npulled), LEAST_BEHIND));
	/* those that the graph gave are kept too, and passed over when their turn comes */
	return Max(Max(n, FIRST_PASS), scan->npulled) + scan->npulled;
}

void
qh_flat_start(QhScan *scan, double ncandidates)
{
	QhFlat	   *flat = &scan->flat;
	Size		max = qh_scan_memory(QH_SEARCH_MEMORY) / (2 * sizeof(uint64));

	qh_index_refresh_size(scan->ix, scan->rs.index);
	max = Max(max, 64);
	max = Min(max, (Size) scan->ix->nslots);
	max = Min(max, (Size) PG_INT32_MAX / 4);
	flat->limit = (int) Max(max, 1);
	flat->max = (int) Min(flat->limit, first_pass(scan, ncandidates));
	make_room(scan);
	flat->bounded = false;

	/* what the graph has returned already must not come twice */
	if (scan->npulled > 0)
		qsort(scan->pulled, scan->npulled, sizeof(QhCandidate), compare_nodes);
	run_pass(scan);
}

/* What comes behind the candidates of the last pass; false where nothing does. */
static bool
next_pass(QhScan *scan)
{
	QhFlat	   *flat = &scan->flat;

	if (!flat->more || flat->nbest == 0)
		return false;
	flat->bound = flat->best[flat->nbest - 1];
	flat->bounded = true;
	if (flat->max < flat->limit)
	{
		flat->max = (int) Min((int64) flat->max * PASS_GROWTH, flat->limit);
		make_room(scan);
	}
	run_pass(scan);
	return flat->nbest > 0;
}

bool
qh_flat_next(QhScan *scan, QhCandidate *out)
{
	QhFlat	   *flat = &scan->flat;

	do
	{
		if (flat->next == flat->nbest && !next_pass(scan))
			return false;
		if (flat->next == flat->nsorted)
			sort_more(flat);
		*out = candidate_of(flat->best[flat->next++]);
	} while (was_pulled(scan, out->node));
	return true;
}

int
qh_flat_peek(const QhScan *scan, int max, QhNode *out)
{
	const QhFlat *flat = &scan->flat;
	int			n = Min(max, flat->nsorted - flat->next);

	for (int i = 0; i < n; i++)
		out[i] = candidate_of(flat->best[flat->next + i]).node;
	return n;
}
