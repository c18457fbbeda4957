/*
 * source_flat.c
 *		Candidates from passes over all codes, best first.
 *
 * The exact search: for qhnsw.flat, for small indexes, and for scans so long that the graph would
 * cost more.  One pass reads the code pages in order and keeps the best as far as memory allows.
 * When those are used up, another pass keeps what comes behind them.  Must not know what becomes
 * of candidates.  README.md, section "Sources of candidates".
 */
#include "postgres.h"

#include <math.h>

#include "scan/source.h"
#include "common/hashfn.h"
#include "store/filter.h"
#include "store/sweep.h"

/*
 * The first pass keeps at least so many candidates, and each pass so many times as many as the
 * one before, up to what memory allows: putting many in order costs more than scoring them, and
 * most scans want few.  doc/decisions/0033.
 */
#define FIRST_PASS		256
#define PASS_GROWTH		8

/* Candidates put in order at once, at least.  Chosen by hand; doc/decisions/0033. */
#define LEAST_SORTED	128

/*
 * What the first pass keeps: so many times the candidates that the plan's rows take, for some
 * rows are deleted; so many times ef_search, where no plan tells.  Chosen by hand;
 * doc/decisions/0033.
 */
#define PER_WANTED		4
#define PER_EF			16

/*
 * The same behind a lower bound of the distance: times the rows known to lie before it, times the
 * candidates taken from the graph, and at least.  Chosen by hand; doc/decisions/0033.
 */
#define PER_KNOWN		8
#define PER_GIVEN		3
#define LEAST_BEHIND	1024

/*
 * Where more than one node in so many may pass the conditions, all codes are scored: in order a
 * code costs a fifth of one of a few on a page.  doc/decisions/0240.
 */
#define PASSING_FRACTION	5

/* A candidate is kept as a number, its key, that orders as candidates do. */
typedef struct FlatSource
{
	QhCandidateSource base;		/* must be first */
	uint64	   *best;			/* kept by this pass; the first nsorted are in order */
	int			nbest;
	int			nsorted;
	int			next;			/* of best, to be given */
	int			max;			/* that this pass keeps */
	int			size;			/* room in best: twice as many */
	int			limit;			/* of max: what memory allows */
	uint64		worst;			/* a key no less than this is not kept */
	uint8	   *given;			/* bit a node that a pass before this one has kept; NULL = none has, or there is no memory for bits */
	uint32		ngiven;			/* of so many nodes, from 0 on */
	uint64		bound;			/* without bits: the last key of the pass before, only what is behind it counts, */
	bool		bounded;		/* if there was one */
	bool		more;			/* this pass has left some out */
} FlatSource;

#define ST_SORT			sort_keys
#define ST_ELEMENT_TYPE uint64
#define ST_COMPARE(a, b)	((*(a) > *(b)) - (*(a) < *(b)))
#define ST_SCOPE		static
#define ST_DEFINE
#include "lib/sort_template.h"

#define SIGN			(UINT32_C(1) << 31)

/* The key of a candidate: by distance, and by node among equal ones.  No distance is NaN. */
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

/*
 * Put the k least of n keys, all different, before the others.  Quickselect; pivots are taken
 * from anywhere, whatever order keys come in.
 */
static void
select_least(uint64 *keys, int n, int k)
{
	int			low = 0;
	int			high = n;

	Assert(k <= n);
	/* those before low are among the least, those from high on are not */
	while (low < k && k < high)
	{
		uint32		random = murmurhash32((uint32) low ^ (uint32) high << 8);
		int			at = low + (int) (random % (uint32) (high - low));
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

/*
 * Did a pass before this one have the node?  Bits tell, and not the key of the last one: a code may
 * have been replaced by another of the same value since (src/store/RECODING.md).
 */
static inline bool
was_given(const FlatSource *flat, QhNode node, uint64 key)
{
	if (flat->given == NULL)
		return flat->bounded && key <= flat->bound;
	return node < flat->ngiven && (flat->given[node / 8] & (1 << (node % 8))) != 0;
}

/* There is no more room: keep the nearest max. */
static void
keep_nearest(FlatSource *flat)
{
	select_least(flat->best, flat->nbest, flat->max);
	flat->nbest = flat->max;
	flat->more = true;
	flat->worst = 0;
	for (int i = 0; i < flat->nbest; i++)
		flat->worst = Max(flat->worst, flat->best[i]);
}

static inline void
offer(FlatSource *flat, QhNode node, float dist)
{
	uint64		key = key_of(node, dist);

	if (key >= flat->worst)
	{
		flat->more = true;
		return;
	}
	if (was_given(flat, node, key))
		return;
	if (flat->nbest == flat->size)
		keep_nearest(flat);
	if (key < flat->worst)
		flat->best[flat->nbest++] = key;
}

/* ---- a pass over nodes that may pass the conditions ---- */

/* Two batches of nodes are on their way: while one is scored, the other is fetched. */
typedef struct PassingPass
{
	FlatSource *flat;
	QhScan	   *scan;
	QhNode		nodes[2][QH_PASSING_BATCH];
	int			n[2];
	int			turn;
} PassingPass;

static void
score_batch(PassingPass *pass, int which)
{
	float		dist[QH_PASSING_BATCH];

	if (pass->n[which] == 0)
		return;
	qh_store_score_fetched(&pass->scan->rs.store, which, pass->nodes[which], pass->n[which], dist);
	for (int i = 0; i < pass->n[which]; i++)
	{
		if (dist[i] < INFINITY)
			offer(pass->flat, pass->nodes[which][i], dist[i]);
	}
	pass->n[which] = 0;
}

static void
take_passing(void *arg, const QhNode *nodes, int n)
{
	PassingPass *pass = (PassingPass *) arg;
	int			turn = pass->turn;

	memcpy(pass->nodes[turn], nodes, sizeof(QhNode) * n);
	pass->n[turn] = n;
	qh_store_fetch(&pass->scan->rs.store, turn, pass->nodes[turn], n);
	pass->turn = 1 - turn;
	score_batch(pass, 1 - turn);
}

static void
score_passing(FlatSource *flat, QhScan *scan)
{
	PassingPass pass = {.flat = flat, .scan = scan};

	qh_passing_each(scan, take_passing, &pass);
	score_batch(&pass, 1 - pass.turn);
}

/* ---- a pass over all codes ---- */

static void
score_all(FlatSource *flat, QhScan *scan)
{
	QhSweep		sweep;
	QhSweepHits hits;
	const uint64 *bits = scan->q.passing.bits;

	qh_sweep_begin(&sweep, &scan->rs);
	for (float limit = INFINITY; qh_sweep_next(&sweep, limit, &hits);)
	{
		for (uint32 i = 0; i < hits.nnear; i++)
		{
			if (bits == NULL || hits.first + hits.near[i] >= scan->q.passing.nslots ||
				qh_bit(bits, hits.first + hits.near[i]))
				offer(flat, hits.first + hits.near[i], hits.dist[i]);
		}
		/* nearly all codes end here */
		if (hits.nnear < (uint32) hits.ncodes)
			flat->more = true;
		/* nodes come in the order of their ids, so one as far as the farthest kept is behind it */
		if (flat->worst != PG_UINT64_MAX)
			limit = candidate_of(flat->worst).dist;
	}
	qh_sweep_end(&sweep);
}

static void
run_pass(FlatSource *flat, QhScan *scan)
{
	flat->nbest = 0;
	flat->nsorted = 0;
	flat->next = 0;
	flat->more = false;
	flat->worst = PG_UINT64_MAX;
	if (scan->q.tests_keys)
		qh_passing_count(scan);
	if (scan->q.tests_keys && scan->q.passing.nnodes < scan->q.ix->nslots / PASSING_FRACTION)
		score_passing(flat, scan);
	else
		score_all(flat, scan);
	if (flat->nbest > flat->max)
		keep_nearest(flat);
	scan->q.stats.nflat++;
}

/*
 * Room for what a pass keeps, and for as many again, of which it keeps the nearest when that is
 * full.
 */
static void
make_room(FlatSource *flat, MemoryContext cxt)
{
	if (flat->best != NULL)
		pfree(flat->best);
	flat->size = 2 * flat->max;
	flat->best = MemoryContextAllocHuge(cxt, sizeof(uint64) * (Size) flat->size);
}

/* Put more of those kept in order: most scans take few. */
static void
sort_more(FlatSource *flat)
{
	uint64	   *rest = flat->best + flat->nsorted;
	int			nrest = flat->nbest - flat->nsorted;
	int			n = Min(nrest, Max(LEAST_SORTED, flat->nsorted));

	select_least(rest, nrest, n);
	sort_keys(rest, n);
	flat->nsorted += n;
}

/* All that the last pass has kept was given. */
static void
note_given(FlatSource *flat, QhScan *scan)
{
	uint32		nslots = scan->q.ix->nslots;

	flat->bound = flat->best[flat->nbest - 1];
	if (!flat->bounded && nslots / 8 < qh_scan_memory(QH_SEARCH_MEMORY) / 2)
	{
		flat->given = MemoryContextAllocZero(scan->query_cxt, nslots / 8 + 1);
		flat->ngiven = nslots;
	}
	flat->bounded = true;
	for (int i = 0; flat->given != NULL && i < flat->nbest; i++)
	{
		QhNode		node = candidate_of(flat->best[i]).node;

		if (node < flat->ngiven)
			flat->given[node / 8] |= 1 << (node % 8);
	}
}

/* What comes behind the candidates of the last pass; false where nothing does. */
static bool
next_pass(FlatSource *flat, QhScan *scan)
{
	if (!flat->more || flat->nbest == 0)
		return false;
	note_given(flat, scan);
	if (flat->max < flat->limit)
	{
		flat->max = (int) Min((int64) flat->max * PASS_GROWTH, flat->limit);
		make_room(flat, scan->query_cxt);
	}
	run_pass(flat, scan);
	return flat->nbest > 0;
}

static int
flat_next(QhCandidateSource *source, QhScan *scan, int max, QhCandidate *out)
{
	FlatSource *flat = (FlatSource *) source;

	do
	{
		if (flat->next == flat->nbest && !next_pass(flat, scan))
			return 0;
		if (flat->next == flat->nsorted)
			sort_more(flat);
		*out = candidate_of(flat->best[flat->next++]);
	} while (qh_was_given(scan, out->node) || (scan->q.hides && out->node == scan->q.hidden));
	return 1;
}

static int
flat_peek(const QhCandidateSource *source, int max, QhNode *out)
{
	const FlatSource *flat = (const FlatSource *) source;
	int			n = Min(max, flat->nsorted - flat->next);

	for (int i = 0; i < n; i++)
		out[i] = candidate_of(flat->best[flat->next + i]).node;
	return n;
}

static void
flat_end(QhCandidateSource *source)
{
	FlatSource *flat = (FlatSource *) source;

	if (flat->given != NULL)
		pfree(flat->given);
	pfree(flat->best);
	pfree(flat);
}

/*
 * Candidates that the first pass keeps.  A scan that has taken many from the graph is likely to
 * take as many again.
 */
static double
first_pass(const QhScan *scan, double ncandidates)
{
	uint64		ngiven = scan->q.from_graph.n;
	double		n = ncandidates > 0 ? PER_WANTED * ncandidates : PER_EF * scan->q.ef;

	if (scan->q.bounded && scan->q.bounds.has_lower)
	{
		n = Max(n, LEAST_BEHIND);
		n = Max(n, Max(PER_KNOWN * scan->q.nknown_before, PER_GIVEN * ngiven));
	}
	/* those that the graph gave are kept too, and passed over when their turn comes */
	return Max(Max(n, FIRST_PASS), ngiven) + ngiven;
}

QhCandidateSource *
qh_source_flat(QhScan *scan, double ncandidates)
{
	FlatSource *flat = MemoryContextAllocZero(scan->query_cxt, sizeof(FlatSource));
	Size		limit = qh_scan_memory(QH_SEARCH_MEMORY) / (2 * sizeof(uint64));

	flat->base = (QhCandidateSource)
	{
		.next = flat_next, .peek = flat_peek, .end = flat_end, .has_estimates = true
	};
	qh_index_refresh_size(scan->q.ix, scan->rs.index);
	limit = Max(limit, 64);
	limit = Min(limit, (Size) scan->q.ix->nslots);
	limit = Min(limit, (Size) PG_INT32_MAX / 4);
	flat->limit = (int) Max(limit, 1);
	flat->max = (int) Min(flat->limit, first_pass(scan, ncandidates));
	make_room(flat, scan->query_cxt);

	qh_sort_given(scan);
	run_pass(flat, scan);
	return &flat->base;
}
