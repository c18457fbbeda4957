/*
 * shard.h
 *		Bulk builds in parts: which shard a code belongs to, and one graph out of the graphs of shards.
 *
 * A graph too large for one piece of memory is built shard by shard, in several
 * independent divisions into shards.  Other divisions offer each node candidates and
 * links; the first, which is that of the ids, makes the graph of them.  Files, workers and numbers of rows
 * are the caller's.
 * BUILD.md, "Builds in shards".
 */
#ifndef QH_SHARD_H
#define QH_SHARD_H

#include "graph/graph.h"

/* Maps codes to shards.  Holds no pointers: it may be copied, or lie in shared memory. */
typedef struct QhSplitter QhSplitter;

extern size_t qh_splitter_nbytes(uint32_t nshards, size_t stride);

/*
 * Divide the codes of a sample into nshards shards of about equal size.  splitter is nbytes of the caller's, aligned to
 * 8 bytes.  Another seed gives another division.
 */
extern void qh_splitter_init(QhSplitter *splitter, const QhAlloc *alloc, const QhSpace *sample, uint32_t nshards, uint64_t seed);

/* The shard of a code: always the same for equal codes.  Of the space only its functions are used. */
extern uint32_t qh_splitter_shard(const QhSplitter *splitter, const QhSpace *space, const uint8_t *code);

/*
 * An order of n nodes in which near ones stand together: order[i] is the node that comes i-th.  The first nentries are
 * spread over all, to be entry points.
 */
extern void qh_build_order(const QhAlloc *alloc, const QhSpace *space, const QhBuildParams *params, int nentries, QhNode *order);

/*
 * Links between the nodes of a shard of another division.  home[i] is the shard of node i in the first: nodes of one
 * home are linked there too, so only links between nodes of different homes are answered.  No entry points, tree links or coarse links.
 */
extern QhGraph *qh_build_between(const QhAlloc *alloc, const QhSpace *space, const QhBuildParams *params, const uint32_t *home);

/* What is known of the nodes of a shard of the first division before they are linked. */
typedef struct QhKnown
{
	QhNode		base;			/* id of node 0 */
	const uint64_t *begin;		/* n + 1: candidates of node i are nodes[begin[i] .. begin[i + 1]) */
	const QhNode *nodes;
	const uint8_t *taken;		/* places in the list of each node that links to other shards will take */
	int			nentries;		/* the first nodes are entry points */
} QhKnown;

/* As qh_build, for nodes in their final order, with candidates from elsewhere and lists that leave places free. */
extern QhGraph *qh_build_within(const QhAlloc *alloc, const QhSpace *space, const QhBuildParams *params, const QhKnown *known);

/* Divisions besides the first.  With three, recall depends little on the number of shards; doc/decisions/0065. */
#define QH_NBETWEEN			3
#define QH_NDIVISIONS		(1 + QH_NBETWEEN)

/* What a build of one division is asked for: its share of the trees. */
extern QhBuildParams qh_division_params(const QhBuildParams *params, int division);

/* Links to other shards that a node may have. */
extern int qh_away_max(int m, uint32_t nshards);

/* Links of a node that one division found, the nearest first; final ids. */
typedef struct QhOffer
{
	const QhNode *nodes;
	int			n;
} QhOffer;

/* The ids of a shard's nodes. */
typedef struct QhShardRange
{
	QhNode		base;
	uint32_t	n;
} QhShardRange;

typedef struct QhJoined
{
	QhNode	   *within;			/* room for all that is offered; places in the shard, candidates */
	int			nwithin;
	QhNode	   *away;			/* room for away_max; final ids, links */
	int			naway;
} QhJoined;

/* Sort out what is offered to a node: coarse links first, though no more than half of the places, then by turns from the QH_NBETWEEN offers. */
extern void qh_join_offers(const QhOffer *coarse, const QhOffer *offers, const QhShardRange *range, int away_max, QhJoined *joined);

/*
 * The final list of a node: the links of its shard's graph (final ids, with tree links) and those away by turns, and as many as there is room for.
 * out has room for 2 * max_degree.  Returns how many.
 */
typedef struct QhFinalInput
{
	const QhHubs *hubs;
	int			max_degree;
	QhNode		id;
	const QhLink *within;
	int			nwithin;
	const QhNode *away;
	int			naway;
} QhFinalInput;

extern int qh_final_links(const QhFinalInput *input, QhLink *out);

/* Coarse links between the nodes of a sample that stands in the order of the whole graph. */
extern QhGraph *qh_build_coarse(const QhAlloc *alloc, const QhSpace *sample, const QhBuildParams *params);

#endif							/* QH_SHARD_H */
