/*
 * visited.c
 *		The nodes that a search has met.
 *
 * Knows no distances, and of links only where they lead.  README.md, "Search".
 */
#include <string.h>

#include "graph/order.h"
#include "graph/visited.h"
#include "kernel/assert.h"

/* The most nodes that have a bit each: 32 kB, which a first-level cache holds, and which are cleared for each search. */
#define MAX_BITS			262144

/* Slots of the smallest table for a whole search, and for the few that have no bit. */
#define MIN_SLOTS			2048
#define MIN_SLOTS_BESIDES	128

void
qh_visited_init(QhVisited *visited, const QhAlloc *alloc)
{
	memset(visited, 0, sizeof(*visited));
	visited->alloc = *alloc;
}

void
qh_visited_free(QhVisited *visited)
{
	qh_give(&visited->alloc, visited->bits);
	qh_give(&visited->alloc, visited->slots);
	visited->bits = NULL;
	visited->nbits = 0;
	visited->slots = NULL;
	visited->nslots = 0;
	visited->count = 0;
}

/* ---- table ---- */

/* Returns whether the node was not there before; mask is the number of slots less 1. */
static inline bool
add_to_table(QhNode *slots, size_t mask, uint32_t shift, QhNode node)
{
	size_t		slot = (node * QH_SPREAD) >> shift;
	bool		added;

	/* one branch, nearly never taken: whether the node is there or its place is empty is not to be guessed */
	while ((slots[slot] != QH_INVALID_NODE) & (slots[slot] != node))
		slot = (slot + 1) & mask;
	added = slots[slot] == QH_INVALID_NODE;
	slots[slot] = node;
	return added;
}

static int
add_all_to_table(QhVisited *visited, const QhLink *links, int nlinks, QhNode *out)
{
	/* known not to change while slots are written */
	QhNode	   *slots = visited->slots;
	size_t		mask = visited->nslots - 1;
	uint32_t	shift = visited->shift;
	int			n = 0;

	for (int i = 0; i < nlinks; i++)
	{
		QhNode		node = qh_link_node(links[i]);

		out[n] = node;
		n += add_to_table(slots, mask, shift, node);
	}
	visited->count += (size_t) n;
	return n;
}

static void
resize_table(QhVisited *visited, size_t nslots)
{
	QhNode	   *old = visited->slots;
	size_t		nold = visited->nslots;

	QV_ASSERT(visited->count <= nslots / QH_VISITED_SLOTS_PER_NODE);
	visited->slots = qh_take(&visited->alloc, nslots * sizeof(QhNode));
	visited->nslots = nslots;
	visited->shift = 32;
	for (size_t n = nslots; n > 1; n >>= 1)
		visited->shift--;
	memset(visited->slots, 0xFF, nslots * sizeof(QhNode));
	for (size_t i = 0; i < nold; i++)
		if (old[i] != QH_INVALID_NODE)
			(void) add_to_table(visited->slots, nslots - 1, visited->shift, old[i]);
	qh_give(&visited->alloc, old);
}

/* Slots of a table of at least so many for n nodes. */
static size_t
slots_for(size_t nslots, size_t n)
{
	while (nslots / QH_VISITED_SLOTS_PER_NODE < n)
		nslots *= 2;
	return nslots;
}

/*
 * Empty the table, which then has min slots at least.  One much larger than the last search needed is cut down, or one deep scan would
 * make every later search clear megabytes.
 */
static void
clear_table(QhVisited *visited, size_t min)
{
	size_t		nslots = visited->nslots;

	while (nslots > min && nslots / (8 * QH_VISITED_SLOTS_PER_NODE) > visited->count)
		nslots /= 2;
	if (nslots < min)
		nslots = min;
	if (nslots == visited->nslots)
	{
		if (visited->count > 0)
			memset(visited->slots, 0xFF, nslots * sizeof(QhNode));
		visited->count = 0;
		return;
	}
	qh_give(&visited->alloc, visited->slots);
	visited->slots = NULL;
	visited->nslots = 0;
	visited->count = 0;
	resize_table(visited, nslots);
}

/* ---- bits ---- */

/* Not to be inlined: hardly any search meets a node that was inserted since it began. */
static __attribute__((noinline)) int
add_beyond_bits(QhVisited *visited, QhNode node)
{
	int			n = add_to_table(visited->slots, visited->nslots - 1, visited->shift, node);

	visited->count += (size_t) n;
	QV_ASSERT(visited->count <= visited->nslots / QH_VISITED_SLOTS_PER_NODE);
	return n;
}

static int
add_bits(QhVisited *visited, const QhLink *links, int nlinks, QhNode *out)
{
	/* known not to change while words are written */
	uint64_t   *bits = visited->bits;
	size_t		nbits = visited->nbits;
	int			n = 0;

	for (int i = 0; i < nlinks; i++)
	{
		QhNode		node = qh_link_node(links[i]);
		uint64_t	bit = UINT64_C(1) << node % 64;
		uint64_t	word;

		out[n] = node;
		if (node >= nbits)
		{
			n += add_beyond_bits(visited, node);
			continue;
		}
		word = bits[node / 64];
		n += (word & bit) == 0;
		bits[node / 64] = word | bit;
	}
	return n;
}

/* ---- either ---- */

/* Have nodes below nnodes a bit each? */
static bool
are_few(size_t nnodes, size_t max_nbytes)
{
	return nnodes > 0 && nnodes <= MAX_BITS && (max_nbytes == 0 || nnodes / 8 <= max_nbytes / 4);
}

static size_t
bits_for(size_t nnodes)
{
	return (nnodes + 63) / 64 * 64;
}

size_t
qh_visited_least_nbytes(size_t nnodes, size_t n, size_t max_nbytes)
{
	if (are_few(nnodes, max_nbytes))
		return bits_for(nnodes) / 8 + slots_for(MIN_SLOTS_BESIDES, n) * sizeof(QhNode);
	return slots_for(MIN_SLOTS, n) * sizeof(QhNode);
}

void
qh_visited_clear(QhVisited *visited, size_t nnodes, size_t n, size_t max_nbytes)
{
	bool		few = are_few(nnodes, max_nbytes);

	if (few != (visited->bits != NULL) || (few && visited->nbits < nnodes))
	{
		qh_visited_free(visited);
		if (few)
		{
			visited->nbits = bits_for(nnodes);
			visited->bits = qh_take(&visited->alloc, visited->nbits / 8);
		}
	}
	if (few)
		memset(visited->bits, 0, visited->nbits / 8);
	clear_table(visited, slots_for(few ? MIN_SLOTS_BESIDES : MIN_SLOTS, n));
}

size_t
qh_visited_nbytes(const QhVisited *visited)
{
	return visited->nbits / 8 + visited->nslots * sizeof(QhNode);
}

size_t
qh_visited_growth_to(const QhVisited *visited, size_t n)
{
	return slots_for(visited->nslots, visited->count + n) * sizeof(QhNode);
}

void
qh_visited_reserve(QhVisited *visited, size_t n)
{
	if (qh_visited_growth(visited, n) > 0)
		resize_table(visited, slots_for(visited->nslots, visited->count + n));
}

int
qh_visited_add(QhVisited *visited, const QhLink *links, int n, QhNode *out)
{
	QV_ASSERT(n == 0 || qh_visited_growth(visited, (size_t) n) == 0);
	return visited->bits != NULL ? add_bits(visited, links, n, out) : add_all_to_table(visited, links, n, out);
}

bool
qh_visited_has(const QhVisited *visited, QhNode node)
{
	size_t		slot;

	if (node < visited->nbits)
		return visited->bits[node / 64] >> node % 64 & 1;
	slot = (node * QH_SPREAD) >> visited->shift;
	while (visited->slots[slot] != QH_INVALID_NODE && visited->slots[slot] != node)
		slot = (slot + 1) & (visited->nslots - 1);
	return visited->slots[slot] == node;
}
