/*
 * layout.c
 *		The order in which nodes are laid out: near ones stand together, and so on the same pages.
 *
 * Knows codes only through distances between them.  Each node goes to the nearest of some pivots drawn from
 * all, pivots are put in a row in which each is followed by the nearest of those left, and what a pivot
 * has is divided in the same way.  Clusters stay whole, however large they are; cuts
 * at the median, which the trees for candidates make, go through them.  README.md, "Bulk build".
 */
#include <math.h>
#include <string.h>

#include "graph/build.h"

/* Pivots of a division: the more, the better the order and the longer it takes; measured, README.md, "What was tried". */
#ifndef QH_LAYOUT_PIVOTS
#define QH_LAYOUT_PIVOTS	256
#endif

/* So many nodes a pivot are enough: a fraction of a page, so that what belongs together is parted by few ends of pages; measured likewise. */
#ifndef QH_LAYOUT_NODES
#define QH_LAYOUT_NODES		32
#endif

/* Divisions within each other; equal distances may leave one pivot with nearly all nodes each time.  Chosen by hand. */
#define LAYOUT_DEPTH		8

/* Nodes and pivots whose distances are computed together: a batch of codes stays in the first caches while pivots pass over it. */
#define LAYOUT_BATCH		128
#define LAYOUT_ROWS			16

typedef struct Layout
{
	QhBuild    *build;
	QhNode	   *scratch;		/* n */
	uint8_t    *part;			/* n: pivot that a node is nearest to */
	uint8_t    *pivots;			/* codes of QH_LAYOUT_PIVOTS, side by side */
	uint8_t    *codes;			/* of LAYOUT_BATCH nodes */
	float	   *dist;			/* LAYOUT_ROWS rows of LAYOUT_BATCH */
	uint64_t	random;
} Layout;

_Static_assert(QH_LAYOUT_PIVOTS <= 256, "a part is a byte");

/* Nodes that stand together in the order. */
typedef struct Stretch
{
	QhNode	   *nodes;
	uint32_t	n;
	QhNode		before;			/* a node near those that stand before it, or QH_INVALID_NODE */
} Stretch;

static uint32_t
pivots_wanted(uint32_t n)
{
	uint32_t	npivots = n / QH_LAYOUT_NODES + 1;

	return npivots < QH_LAYOUT_PIVOTS ? npivots : QH_LAYOUT_PIVOTS;
}

/* One from each of as many equal parts of the stretch: no node twice. */
static void
draw_pivots(Layout *layout, const Stretch *stretch, QhNode *pivots, uint32_t npivots)
{
	for (uint32_t i = 0; i < npivots; i++)
	{
		uint32_t	begin = (uint32_t) ((uint64_t) stretch->n * i / npivots);
		uint32_t	end = (uint32_t) ((uint64_t) stretch->n * (i + 1) / npivots);

		pivots[i] = stretch->nodes[begin + qh_random_below(&layout->random, end - begin)];
	}
}

/* Put the pivots in a row: each behind the one it is nearest to of all that are left, the first behind the node before. */
static void
chain_pivots(const Layout *layout, QhNode before, QhNode *pivots, uint32_t npivots)
{
	float		dist[QH_LAYOUT_PIVOTS];

	for (uint32_t i = 0; i < npivots; i++)
	{
		uint32_t	best = i;
		QhNode		nearest;

		if (before != QH_INVALID_NODE)
		{
			qh_space_pair(layout->build->space, before, pivots + i, (int) (npivots - i), dist);
			for (uint32_t j = i + 1; j < npivots; j++)
				if (dist[j - i] < dist[best - i])
					best = j;
		}
		before = nearest = pivots[best];
		pivots[best] = pivots[i];
		pivots[i] = nearest;
	}
}

/* Which of the pivots in layout->pivots each of at most LAYOUT_BATCH nodes is nearest to. */
static void
find_nearest(Layout *layout, const QhNode *nodes, uint32_t n, uint32_t npivots, uint8_t *part)
{
	const QhSpace *space = layout->build->space;
	float		least[LAYOUT_BATCH];

	for (uint32_t i = 0; i < n; i++)
		least[i] = INFINITY;
	memset(part, 0, n);
	qh_build_copy_codes(layout->build, nodes, n, layout->codes);
	for (uint32_t first = 0; first < npivots; first += LAYOUT_ROWS)
	{
		uint32_t	nrows = npivots - first < LAYOUT_ROWS ? npivots - first : LAYOUT_ROWS;

		space->pair_block(space->ctx, layout->pivots + first * space->stride, (int) nrows,
						  layout->codes, space->stride, (int) n, layout->dist);
		for (uint32_t row = 0; row < nrows; row++)
		{
			const float *dist = layout->dist + (size_t) row * n;

			for (uint32_t i = 0; i < n; i++)
			{
				part[i] = dist[i] < least[i] ? (uint8_t) (first + row) : part[i];
				least[i] = dist[i] < least[i] ? dist[i] : least[i];
			}
		}
	}
	qh_build_tick(layout->build, QH_PHASE_PARTITION, n * npivots / 1024 + 1, 0, layout->build->n);
}

/* Order a stretch by the parts of its nodes; begin[i] becomes the place of the first node of part i, begin[npivots] the end. */
static void
sort_by_part(Layout *layout, const Stretch *stretch, const uint8_t *part, uint32_t npivots, uint32_t *begin)
{
	QhNode	   *sorted = layout->scratch;
	uint32_t	at[QH_LAYOUT_PIVOTS];

	memset(begin, 0, (npivots + 1) * sizeof(uint32_t));
	for (uint32_t i = 0; i < stretch->n; i++)
		begin[part[i] + 1]++;
	for (uint32_t i = 0; i < npivots; i++)
	{
		at[i] = begin[i];
		begin[i + 1] += begin[i];
	}
	for (uint32_t i = 0; i < stretch->n; i++)
		sorted[at[part[i]]++] = stretch->nodes[i];
	memcpy(stretch->nodes, sorted, stretch->n * sizeof(QhNode));
}

/* Divide a stretch among pivots, and what each has in turn. */
static void
arrange(Layout *layout, Stretch stretch, int depth)
{
	QhBuild    *build = layout->build;
	uint8_t    *part = layout->part;
	uint32_t	npivots = pivots_wanted(stretch.n);
	QhNode		pivots[QH_LAYOUT_PIVOTS];
	uint32_t	begin[QH_LAYOUT_PIVOTS + 1];

	if (stretch.n <= QH_LAYOUT_NODES || depth == LAYOUT_DEPTH)
		return;
	draw_pivots(layout, &stretch, pivots, npivots);
	chain_pivots(layout, stretch.before, pivots, npivots);
	qh_build_copy_codes(build, pivots, npivots, layout->pivots);
	for (uint32_t done = 0; done < stretch.n; done += LAYOUT_BATCH)
	{
		uint32_t	n = stretch.n - done < LAYOUT_BATCH ? stretch.n - done : LAYOUT_BATCH;

		find_nearest(layout, stretch.nodes + done, n, npivots, part + done);
	}
	sort_by_part(layout, &stretch, part, npivots, begin);

	for (uint32_t i = 0; i < npivots; i++)
	{
		Stretch		own = {stretch.nodes + begin[i], begin[i + 1] - begin[i], i > 0 ? pivots[i - 1] : stretch.before};

		/* all nodes at the same distance: there is nothing to divide by */
		if (own.n < stretch.n)
			arrange(layout, own, depth + 1);
	}
}

void
qh_lay_out(QhBuild *build)
{
	size_t		stride = build->space->stride;
	Layout		layout = {.build = build, .random = qh_mix64(build->params->seed)};

	for (uint32_t i = 0; i < build->n; i++)
		build->perm[i] = i;
	if (build->n <= QH_LAYOUT_NODES)
		return;
	layout.scratch = qh_build_alloc(build, (size_t) build->n * sizeof(QhNode));
	layout.part = qh_build_alloc(build, build->n);
	layout.pivots = qh_build_alloc(build, pivots_wanted(build->n) * stride);
	layout.codes = qh_build_alloc(build, LAYOUT_BATCH * stride);
	layout.dist = qh_build_alloc(build, LAYOUT_ROWS * LAYOUT_BATCH * sizeof(float));
	arrange(&layout, (Stretch) {build->perm, build->n, QH_INVALID_NODE}, 0);
	qh_build_release(build, layout.dist);
	qh_build_release(build, layout.codes);
	qh_build_release(build, layout.pivots);
	qh_build_release(build, layout.part);
	qh_build_release(build, layout.scratch);
}
