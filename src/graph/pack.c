/*
 * pack.c
 *		Link lists in few bytes: sorted, and the gaps between ids coded.
 *
 * Nodes stand in an order in which neighbours are close (BUILD.md, "Phases"), so most gaps are small
 * and some span the graph: exponential Golomb codes with one parameter a list suit both.  The form is that of
 * src/store/FORMAT.md, "Packed lists"; what does not fit is left out, and README.md, "Low storage", says why that
 * never is a tree link.
 */
#include <string.h>

#include "graph/lists.h"
#include "kernel/assert.h"

/* Two counts of links and the parameter of the code. */
#define COUNT_NBITS		8
#define PARAM_NBITS		5
#define HEADER_NBITS	(2 * COUNT_NBITS + PARAM_NBITS)

/*
 * What a link takes at most, its flag included, in a list of three or more.  The gaps of a list add up to less
 * than 2^31, and the parameter is the logarithm of their mean: as logarithms are concave, the
 * codes take no more than if all were the mean.
 */
#define LINK_NBITS_MAX	34

#define GAP_NBITS_MAX	31

int
qh_pack_least(size_t nbytes)
{
	return (int) ((nbytes * 8 - HEADER_NBITS) / LINK_NBITS_MAX);
}

/* ---- gaps ---- */

/* A list on its way to be packed: the links below the owner, downwards, then those above, upwards. */
typedef struct Gaps
{
	int			nbelow;
	int			n;
	uint32_t	gap[QH_PACK_MAX];
	uint8_t		is_tree[QH_PACK_MAX];
} Gaps;

static void
sort_by_node(QhLink *sorted, const QhLink *links, int n)
{
	for (int i = 0; i < n; i++)
	{
		int			j = i;

		for (; j > 0 && qh_link_node(sorted[j - 1]) > qh_link_node(links[i]); j--)
			sorted[j] = sorted[j - 1];
		sorted[j] = links[i];
	}
}

static void
add_gap(Gaps *gaps, uint32_t gap, QhLink link)
{
	QV_ASSERT(gaps->n < QH_PACK_MAX);
	gaps->gap[gaps->n] = gap;
	gaps->is_tree[gaps->n++] = (link & QH_TREE_LINK) != 0;
}

/* False for what is no list: a link to the owner, or two to one node. */
static bool
find_gaps(Gaps *gaps, QhNode owner, const QhLink *links, int n)
{
	QhLink		sorted[QH_PACK_MAX];
	QhNode		before = owner;
	int			split = 0;

	gaps->n = 0;
	sort_by_node(sorted, links, n);
	for (int i = 0; i < n; i++)
		if (qh_link_node(sorted[i]) == owner || (i > 0 && qh_link_node(sorted[i]) == qh_link_node(sorted[i - 1])))
			return false;
	while (split < n && qh_link_node(sorted[split]) < owner)
		split++;
	gaps->nbelow = split;
	for (int i = split - 1; i >= 0; i--)
	{
		add_gap(gaps, before - qh_link_node(sorted[i]) - 1, sorted[i]);
		before = qh_link_node(sorted[i]);
	}
	before = owner;
	for (int i = split; i < n; i++)
	{
		add_gap(gaps, qh_link_node(sorted[i]) - before - 1, sorted[i]);
		before = qh_link_node(sorted[i]);
	}
	return true;
}

static inline int
log2_floor(uint32_t x)
{
	return 31 - __builtin_clz(x);
}

/* A gap is a number x > 0 above its last param bits: as many zeros as x has bits behind its first, x, the last bits. */
static inline int
gap_nbits(uint32_t gap, int param)
{
	return 2 * log2_floor((gap >> param) + 1) + 1 + param;
}

static size_t
list_nbits(const Gaps *gaps, int param)
{
	size_t		nbits = HEADER_NBITS + (size_t) gaps->n;

	for (int i = 0; i < gaps->n; i++)
		nbits += (size_t) gap_nbits(gaps->gap[i], param);
	return nbits;
}

/* The parameter that makes the list shortest is found downwards from the mean gap. */
static int
choose_param(const Gaps *gaps, size_t *nbits)
{
	uint64_t	sum = 0;
	int			param;

	for (int i = 0; i < gaps->n; i++)
		sum += gaps->gap[i];
	param = gaps->n == 0 ? 0 : log2_floor((uint32_t) (sum / (uint64_t) gaps->n) | 1);
	*nbits = list_nbits(gaps, param);
	while (param > 0)
	{
		size_t		fewer = list_nbits(gaps, param - 1);

		if (fewer >= *nbits)
			break;
		*nbits = fewer;
		param--;
	}
	return param;
}

/* ---- bits, the lowest of each byte first ---- */

static void
put_bits(uint8_t *out, size_t *at, uint32_t value, int nbits)
{
	for (int i = 0; i < nbits; i++, (*at)++)
		out[*at / 8] |= (uint8_t) (((value >> i) & 1) << (*at % 8));
}

/* 57 bits or more from there on. */
static inline uint64_t
peek_bits(const uint8_t *in, size_t at)
{
	const uint8_t *p = in + at / 8;
	uint64_t	word = (uint64_t) p[0] | (uint64_t) p[1] << 8 | (uint64_t) p[2] << 16 | (uint64_t) p[3] << 24 |
		(uint64_t) p[4] << 32 | (uint64_t) p[5] << 40 | (uint64_t) p[6] << 48 | (uint64_t) p[7] << 56;

	return word >> (at % 8);
}

bool
qh_pack_links(QhNode owner, const QhLink *links, int n, uint8_t *out, size_t nbytes)
{
	Gaps		gaps;
	size_t		nbits;
	size_t		at = 0;
	int			param;

	if (n > QH_PACK_MAX || !find_gaps(&gaps, owner, links, n))
		return false;
	param = choose_param(&gaps, &nbits);
	if (nbits > nbytes * 8)
		return false;
	if (out == NULL)
		return true;
	memset(out, 0, nbytes);
	put_bits(out, &at, (uint32_t) gaps.nbelow, COUNT_NBITS);
	put_bits(out, &at, (uint32_t) (n - gaps.nbelow), COUNT_NBITS);
	put_bits(out, &at, (uint32_t) param, PARAM_NBITS);
	for (int i = 0; i < n; i++)
	{
		uint32_t	x = (gaps.gap[i] >> param) + 1;
		int			length = log2_floor(x);

		put_bits(out, &at, gaps.is_tree[i], 1);
		put_bits(out, &at, 0, length);
		put_bits(out, &at, 1, 1);
		put_bits(out, &at, x - (UINT32_C(1) << length), length);
		put_bits(out, &at, gaps.gap[i] & ((UINT32_C(1) << param) - 1), param);
	}
	QV_ASSERT(at == nbits);
	return true;
}

int
qh_unpack_links(QhNode owner, const uint8_t *in, size_t nbytes, int max, QhLink *links)
{
	uint64_t	header = peek_bits(in, 0);
	int			nbelow = (int) (header & 0xFF);
	int			n = nbelow + (int) (header >> COUNT_NBITS & 0xFF);
	int			param = (int) (header >> (2 * COUNT_NBITS) & 31);
	size_t		at = HEADER_NBITS;
	int64_t		node = owner;

	if (n > max)
		return -1;
	for (int i = 0; i < n; i++)
	{
		uint64_t	bits = peek_bits(in, at);
		QhLink		tree = (bits & 1) != 0 ? QH_TREE_LINK : 0;
		int			length = (bits >> 1) == 0 ? GAP_NBITS_MAX : __builtin_ctzll(bits >> 1);
		int64_t		step;

		if (length + param > GAP_NBITS_MAX)
			return -1;
		at += (size_t) length + 2;
		/* no further than the padding, whatever the bytes say */
		if (at > nbytes * 8)
			return -1;
		bits = peek_bits(in, at);
		step = (int64_t) ((((UINT64_C(1) << length) | (bits & ((UINT64_C(1) << length) - 1))) - 1) << param);
		step += (int64_t) (bits >> length & ((UINT64_C(1) << param) - 1)) + 1;
		at += (size_t) (length + param);
		if (i == nbelow)
			node = owner;
		node += i < nbelow ? -step : step;
		if (at > nbytes * 8 || node < 0 || node > (int64_t) QH_MAX_NODES)
			return -1;
		links[i] = (QhNode) node | tree;
	}
	return n;
}

/* ---- lists that are to fit ---- */

bool
qh_links_fit(const QhHubs *hubs, int max_degree, QhNode owner, const QhLink *links, int n)
{
	if (n > max_degree)
		return false;
	return qh_is_hub(hubs, owner) || qh_pack_links(owner, links, n, NULL, hubs->low_nbytes);
}

int
qh_fit_links(const QhHubs *hubs, int max_degree, QhNode owner, QhLink *links, int n)
{
	QhLink		fitting[QH_PACK_MAX];
	int			nfitting = 0;

	if (qh_links_fit(hubs, max_degree, owner, links, n))
		return n;
	for (int i = 0; i < n && nfitting < max_degree; i++)
		if (links[i] & QH_TREE_LINK)
			fitting[nfitting++] = links[i];
	QV_ASSERT(max_degree <= QH_PACK_MAX);
	for (int i = 0; i < n && nfitting < max_degree; i++)
	{
		fitting[nfitting] = links[i];
		if (!(links[i] & QH_TREE_LINK) && qh_links_fit(hubs, max_degree, owner, fitting, nfitting + 1))
			nfitting++;
	}
	memcpy(links, fitting, (size_t) nfitting * sizeof(QhLink));
	return nfitting;
}
