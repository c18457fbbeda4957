/*
 * layout.c
 *		The order in which nodes are laid out: near ones stand together, and so on the same pages.
 *
 * Knows codes only through distances between them.  Each node goes to the nearest of some pivots drawn from
 * all, pivots are put in a row in which each is followed by the nearest of those left, and what a pivot
 * has is divided in the same way.  Clusters stay whole, however large they are; cuts
 * at the median, which the trees for candidates make, go through them.  Where there are many pivots a node is
 * compared with those of its cell only, as in an inverted file.  BUILD.md, "Order of nodes".
 */
#include <math.h>
#include <string.h>

#include "graph/bulk.h"

/* Pivots of a division: the more, the better the order and the longer it takes; doc/decisions/0063. */
#ifndef QH_LAYOUT_PIVOTS
#define QH_LAYOUT_PIVOTS	4096
#endif

/* So many nodes a pivot are enough: a fraction of a page, so that what belongs together is parted by few ends of pages. */
#ifndef QH_LAYOUT_NODES
#define QH_LAYOUT_NODES		32
#endif

/*
 * More pivots than twice as many are found by cells, each pivot in the lists of the nearest few.  A node looks at the list of one cell,
 * so an eighth of the pivots is compared with it.  doc/decisions/0063.
 */
#ifndef QH_LAYOUT_CELLS
#define QH_LAYOUT_CELLS		128
#endif
#ifndef QH_LAYOUT_LISTS
#define QH_LAYOUT_LISTS		16
#endif

/* Divisions within each other; equal distances may leave one pivot with nearly all nodes each time.  Chosen by hand. */
#define LAYOUT_DEPTH		8

/* Nodes and pivots whose distances are computed together: a batch of codes stays in the first caches while pivots pass over it. */
#define LAYOUT_BATCH		128
#define LAYOUT_ROWS			16

typedef struct Layout
{
	QhBulk    *build;
	QhNode	   *scratch;		/* n */
	uint16_t   *part;			/* n: pivot that a node is nearest to */
	uint8_t    *pivots;			/* codes of the pivots that nodes are compared with, side by side */
	uint32_t	max_pivots;
	uint8_t    *codes;			/* of LAYOUT_BATCH nodes */
	float	   *dist;			/* LAYOUT_ROWS rows of LAYOUT_BATCH, or one of QH_LAYOUT_PIVOTS */
	uint64_t	random;
} Layout;

#define LAYOUT_NDISTANCES	(LAYOUT_ROWS * LAYOUT_BATCH > QH_LAYOUT_PIVOTS ? LAYOUT_ROWS * LAYOUT_BATCH : QH_LAYOUT_PIVOTS)

_Static_assert(QH_LAYOUT_PIVOTS <= UINT16_MAX && QH_LAYOUT_CELLS <= UINT8_MAX, "a part is two bytes, a cell is one");
_Static_assert(QH_LAYOUT_LISTS <= QH_LAYOUT_CELLS, "no list holds a pivot twice");

/* Nodes that stand together in the order. */
typedef struct Stretch
{
	QhNode	   *nodes;
	uint32_t	n;
	QhNode		before;			/* a node near those that stand before it, or QH_INVALID_NODE */
} Stretch;

/* Pivots in the lists of the cells they are near to. */
typedef struct Cells
{
	QhNode		centres[QH_LAYOUT_CELLS];
	uint32_t	begin[QH_LAYOUT_CELLS + 1];
	uint16_t   *pivots;			/* those of a cell from its begin on; the first is its centre, so none is without */
} Cells;

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

static void
progress(const Layout *layout, uint32_t ndistances)
{
	qh_build_progress(layout->build, QH_PHASE_PARTITION, ndistances / 1024 + 1, 0, layout->build->n);
}

/* Put the pivots in a row: each behind the one it is nearest to of all that are left, the first behind the node before. */
static void
chain_pivots(const Layout *layout, QhNode before, QhNode *pivots, uint32_t npivots)
{
	float	   *dist = layout->dist;

	QV_ASSERT(npivots <= LAYOUT_NDISTANCES);
	for (uint32_t i = 0; i < npivots; i++)
	{
		uint32_t	best = i;
		QhNode		nearest;

		if (before != QH_INVALID_NODE)
		{
			qh_space_place(layout->build->space, before, pivots + i, (int) (npivots - i), dist);
			for (uint32_t j = i + 1; j < npivots; j++)
				if (dist[j - i] < dist[best - i])
					best = j;
			progress(layout, npivots - i);
		}
		before = nearest = pivots[best];
		pivots[best] = pivots[i];
		pivots[i] = nearest;
	}
}

/* Which of the pivots in layout->pivots each of at most LAYOUT_BATCH nodes is nearest to. */
static void
find_nearest_of_batch(const Layout *layout, const QhNode *nodes, uint32_t n, uint32_t npivots, uint16_t *part)
{
	const QhSpace *space = layout->build->space;
	float		least[LAYOUT_BATCH];

	QV_ASSERT(n <= LAYOUT_BATCH);
	for (uint32_t i = 0; i < n; i++)
		least[i] = INFINITY;
	memset(part, 0, n * sizeof(uint16_t));
	qh_build_copy_codes(layout->build, nodes, n, layout->codes);
	for (uint32_t first = 0; first < npivots; first += LAYOUT_ROWS)
	{
		uint32_t	nrows = npivots - first < LAYOUT_ROWS ? npivots - first : LAYOUT_ROWS;

		qh_space_place_block(space, layout->pivots + first * space->stride, (int) nrows, layout->codes, (int) n, layout->dist);
		for (uint32_t row = 0; row < nrows; row++)
		{
			const float *dist = layout->dist + (size_t) row * n;

			for (uint32_t i = 0; i < n; i++)
			{
				part[i] = dist[i] < least[i] ? (uint16_t) (first + row) : part[i];
				least[i] = dist[i] < least[i] ? dist[i] : least[i];
			}
		}
	}
	progress(layout, n * npivots);
}

/* Which of the pivots each node is nearest to. */
static void
find_nearest(const Layout *layout, const QhNode *nodes, uint32_t nnodes, const QhNode *pivots, uint32_t npivots, uint16_t *part)
{
	QV_ASSERT(npivots <= layout->max_pivots);
	qh_build_copy_codes(layout->build, pivots, npivots, layout->pivots);
	for (uint32_t done = 0; done < nnodes; done += LAYOUT_BATCH)
	{
		uint32_t	n = nnodes - done < LAYOUT_BATCH ? nnodes - done : LAYOUT_BATCH;

		find_nearest_of_batch(layout, nodes + done, n, npivots, part + done);
	}
}

/* Order a stretch by the parts of its nodes; begin[i] becomes the place of the first node of part i, begin[nparts] the end. */
static void
sort_by_part(const Layout *layout, const Stretch *stretch, uint32_t nparts, uint32_t *begin)
{
	const uint16_t *part = layout->part;
	QhNode	   *sorted = layout->scratch;

	memset(begin, 0, (nparts + 1) * sizeof(uint32_t));
	for (uint32_t i = 0; i < stretch->n; i++)
		begin[part[i] + 1]++;
	for (uint32_t i = 0; i < nparts; i++)
		begin[i + 1] += begin[i];
	/* begin[part] moves on as nodes are put down, and ends where the next part began */
	for (uint32_t i = 0; i < stretch->n; i++)
		sorted[begin[part[i]]++] = stretch->nodes[i];
	memmove(begin + 1, begin, nparts * sizeof(uint32_t));
	begin[0] = 0;
	memcpy(stretch->nodes, sorted, stretch->n * sizeof(QhNode));
}

/* The cells nearest to a pivot. */
static void
choose_lists(const Layout *layout, const Cells *cells, QhNode pivot, uint8_t *lists)
{
	float	   *dist = layout->dist;

	qh_space_place(layout->build->space, pivot, cells->centres, QH_LAYOUT_CELLS, dist);
	for (int i = 0; i < QH_LAYOUT_LISTS; i++)
	{
		int			best = 0;

		for (int j = 1; j < QH_LAYOUT_CELLS; j++)
			if (dist[j] < dist[best])
				best = j;
		lists[i] = (uint8_t) best;
		dist[best] = INFINITY;
	}
}

/* Cells round centres spread evenly over a row of pivots, and their lists. */
static void
make_cells(const Layout *layout, const QhNode *pivots, uint32_t npivots, Cells *cells)
{
	uint32_t	n = npivots * QH_LAYOUT_LISTS;
	uint8_t    *lists = qh_build_alloc(layout->build, n);
	uint32_t   *begin = cells->begin;

	for (uint32_t i = 0; i < QH_LAYOUT_CELLS; i++)
		cells->centres[i] = pivots[i * npivots / QH_LAYOUT_CELLS];
	memset(begin, 0, sizeof(cells->begin));
	for (uint32_t i = 0; i < npivots; i++)
	{
		choose_lists(layout, cells, pivots[i], lists + i * QH_LAYOUT_LISTS);
		progress(layout, QH_LAYOUT_CELLS);
	}
	for (uint32_t i = 0; i < n; i++)
		begin[lists[i] + 1]++;
	cells->pivots = qh_build_alloc(layout->build, (n + QH_LAYOUT_CELLS) * sizeof(uint16_t));
	for (uint32_t i = 0; i < QH_LAYOUT_CELLS; i++)
	{
		begin[i + 1] += begin[i] + 1;
		cells->pivots[begin[i]++] = (uint16_t) (i * npivots / QH_LAYOUT_CELLS);
	}
	for (uint32_t i = 0; i < n; i++)
		cells->pivots[begin[lists[i]]++] = (uint16_t) (i / QH_LAYOUT_LISTS);
	memmove(begin + 1, begin, QH_LAYOUT_CELLS * sizeof(uint32_t));
	begin[0] = 0;
	qh_build_release(layout->build, lists);
}

/* As find_nearest for a whole stretch, which is put into another order by it; the pivot is one near to the node, not always the nearest. */
static void
find_near_by_cells(const Layout *layout, const Stretch *stretch, const QhNode *pivots, uint32_t npivots)
{
	QhNode	   *listed = qh_build_alloc(layout->build, (npivots + 1) * sizeof(QhNode));
	uint32_t	begin[QH_LAYOUT_CELLS + 1];
	Cells		cells;

	make_cells(layout, pivots, npivots, &cells);
	find_nearest(layout, stretch->nodes, stretch->n, cells.centres, QH_LAYOUT_CELLS, layout->part);
	sort_by_part(layout, stretch, QH_LAYOUT_CELLS, begin);
	for (int i = 0; i < QH_LAYOUT_CELLS; i++)
	{
		const uint16_t *list = cells.pivots + cells.begin[i];
		uint32_t	nlisted = cells.begin[i + 1] - cells.begin[i];

		QV_ASSERT(nlisted <= npivots + 1);
		for (uint32_t j = 0; j < nlisted; j++)
			listed[j] = pivots[list[j]];
		find_nearest(layout, stretch->nodes + begin[i], begin[i + 1] - begin[i], listed, nlisted, layout->part + begin[i]);
		for (uint32_t j = begin[i]; j < begin[i + 1]; j++)
			layout->part[j] = list[layout->part[j]];
	}
	qh_build_release(layout->build, cells.pivots);
	qh_build_release(layout->build, listed);
}

/* Divide a stretch among pivots, and what each has in turn. */
static void
arrange(Layout *layout, Stretch stretch, int depth)
{
	QhBulk    *build = layout->build;
	uint32_t	npivots = pivots_wanted(stretch.n);
	QhNode	   *pivots;
	uint32_t   *begin;

	if (stretch.n <= QH_LAYOUT_NODES || depth == LAYOUT_DEPTH)
		return;
	pivots = qh_build_alloc(build, npivots * sizeof(QhNode));
	begin = qh_build_alloc(build, (npivots + 1) * sizeof(uint32_t));
	draw_pivots(layout, &stretch, pivots, npivots);
	chain_pivots(layout, stretch.before, pivots, npivots);
	if (npivots > 2 * QH_LAYOUT_CELLS)
		find_near_by_cells(layout, &stretch, pivots, npivots);
	else
		find_nearest(layout, stretch.nodes, stretch.n, pivots, npivots, layout->part);
	sort_by_part(layout, &stretch, npivots, begin);

	for (uint32_t i = 0; i < npivots; i++)
	{
		Stretch		own = {stretch.nodes + begin[i], begin[i + 1] - begin[i], i > 0 ? pivots[i - 1] : stretch.before};

		/* all nodes at the same distance: there is nothing to divide by */
		if (own.n < stretch.n)
			arrange(layout, own, depth + 1);
	}
	qh_build_release(build, begin);
	qh_build_release(build, pivots);
}

size_t
qh_layout_nbytes(uint32_t n, size_t stride)
{
	size_t		npivots = pivots_wanted(n);

	if (n <= QH_LAYOUT_NODES)
		return 0;
	/* pivots, cells and what they list, twice: those of one division within another are fewer */
	return n * (sizeof(QhNode) + sizeof(uint16_t)) + (npivots + 1 + LAYOUT_BATCH) * stride + LAYOUT_NDISTANCES * sizeof(float) +
		2 * npivots * (3 * sizeof(QhNode) + QH_LAYOUT_LISTS * (1 + sizeof(uint16_t)) + 1);
}

void
qh_lay_out(QhBulk *build)
{
	size_t		stride = build->space->stride;
	Layout		layout = {.build = build, .random = qh_mix64(build->params->seed)};

	for (uint32_t i = 0; i < build->n; i++)
		build->perm[i] = i;
	if (build->n <= QH_LAYOUT_NODES)
		return;
	layout.scratch = qh_build_alloc(build, (size_t) build->n * sizeof(QhNode));
	layout.part = qh_build_alloc(build, (size_t) build->n * sizeof(uint16_t));
	/* a cell may list all pivots and its centre once more */
	layout.max_pivots = pivots_wanted(build->n) + 1;
	layout.pivots = qh_build_alloc(build, layout.max_pivots * stride);
	layout.codes = qh_build_alloc(build, LAYOUT_BATCH * stride);
	layout.dist = qh_build_alloc(build, LAYOUT_NDISTANCES * sizeof(float));
	arrange(&layout, (Stretch) {build->perm, build->n, QH_INVALID_NODE}, 0);
	qh_build_release(build, layout.dist);
	qh_build_release(build, layout.codes);
	qh_build_release(build, layout.pivots);
	qh_build_release(build, layout.part);
	qh_build_release(build, layout.scratch);
}
