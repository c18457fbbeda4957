/*
 * visited.c
 *		The nodes that a search has met.
 *
 * Knows no distances, and of links only where they lead.  README.md, "Search".
 */
#include <string.h>

#include "graph/order.h"
#include "graph/visited.h"

/* The most nodes that have a bit each: 32 kB, which a first-level cache holds, and which are cleared for each search. */
#define MAX_BITS			262144

/* Slots of the smallest table, and slots a node. */
#define MIN_SLOTS			2048
#define SLOTS_PER_NODE		4

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

/* ---- bits ---- */

/* Bits for ids below n at least; those that are set stay. */
static void
grow_bits(QhVisited *visited, size_t n)
{
	size_t		nbits = (n + 63) / 64 * 64;
	uint64_t   *bits = qh_take(&visited->alloc, nbits / 8);

	if (visited->bits != NULL)
		memcpy(bits, visited->bits, visited->nbits / 8);
	memset(bits + visited->nbits / 64, 0, (nbits - visited->nbits) / 8);
	qh_give(&visited->alloc, visited->bits);
	visited->bits = bits;
	visited->nbits = nbits;
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

		if (node >= nbits)
		{
			grow_bits(visited, 2 * (size_t) node);	/* inserted since the search began */
			bits = visited->bits;
			nbits = visited->nbits;
		}
		word = bits[node / 64];
		out[n] = node;
		n += (word & bit) == 0;
		bits[node / 64] = word | bit;
	}
	return n;
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

/* A table much larger than the last search needed is cut down, or one deep scan would make every later search clear megabytes. */
static void
clear_table(QhVisited *visited)
{
	size_t		nslots = visited->nslots;

	while (nslots > MIN_SLOTS && nslots / (8 * SLOTS_PER_NODE) > visited->count)
		nslots /= 2;
	if (nslots == visited->nslots)
	{
		if (visited->count > 0)
			memset(visited->slots, 0xFF, nslots * sizeof(QhNode));
		visited->count = 0;
		return;
	}
	qh_visited_free(visited);
	resize_table(visited, nslots);
}

/* Slots for n nodes more. */
static size_t
slots_for(const QhVisited *visited, size_t n)
{
	size_t		nslots = visited->nslots;

	while (nslots / SLOTS_PER_NODE < visited->count + n)
		nslots *= 2;
	return nslots;
}

/* ---- either ---- */

void
qh_visited_clear(QhVisited *visited, size_t nnodes, size_t max_nbytes)
{
	bool		few = nnodes > 0 && nnodes <= MAX_BITS && (max_nbytes == 0 || nnodes / 8 <= max_nbytes / 4);

	if (few && visited->nbits >= nnodes)
		memset(visited->bits, 0, visited->nbits / 8);
	else if (!few && visited->slots != NULL)
		clear_table(visited);
	else
	{
		qh_visited_free(visited);
		if (few)
			grow_bits(visited, nnodes);
		else
			resize_table(visited, MIN_SLOTS);
	}
}

size_t
qh_visited_nbytes(const QhVisited *visited)
{
	return visited->nbits / 8 + visited->nslots * sizeof(QhNode);
}

size_t
qh_visited_nbytes_for(const QhVisited *visited, size_t n)
{
	return visited->bits != NULL ? visited->nbits / 8 : slots_for(visited, n) * sizeof(QhNode);
}

void
qh_visited_reserve(QhVisited *visited, size_t n)
{
	size_t		nslots = visited->bits != NULL ? 0 : slots_for(visited, n);

	if (nslots > visited->nslots)
		resize_table(visited, nslots);
}

int
qh_visited_add(QhVisited *visited, const QhLink *links, int n, QhNode *out)
{
	return visited->bits != NULL ? add_bits(visited, links, n, out) : add_all_to_table(visited, links, n, out);
}

bool
qh_visited_has(const QhVisited *visited, QhNode node)
{
	size_t		slot;

	if (visited->bits != NULL)
		return node < visited->nbits && (visited->bits[node / 64] >> node % 64 & 1);
	slot = (node * QH_SPREAD) >> visited->shift;
	while (visited->slots[slot] != QH_INVALID_NODE && visited->slots[slot] != node)
		slot = (slot + 1) & (visited->nslots - 1);
	return visited->slots[slot] == node;
}
