/*
 * graph.h
 *		Proximity graphs over node ids: search, neighbour selection, bulk build, check.
 *
 * Floor 2: knows no pages, no codes and no PostgreSQL.  A store answers for
 * links and distances; memory comes from the caller.  See README.md.
 */
#ifndef QH_GRAPH_H
#define QH_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint32_t QhNode;		/* 31 bits used */

#define QH_INVALID_NODE		UINT32_C(0xFFFFFFFF)
#define QH_MAX_NODES		UINT32_C(0x7FFFFFFE)

/*
 * A stored link is a node id plus one flag.  A tree link is the one that
 * guarantees its target can be reached: pruning never drops it.  Each node is the
 * target of exactly one tree link, or of none or one if it is an entry point, and
 * following tree links backwards leads to an entry point.
 */
typedef uint32_t QhLink;

#define QH_TREE_LINK		UINT32_C(0x80000000)
#define qh_link_node(link)	((link) & ~QH_TREE_LINK)

/* Memory from the caller: never returns NULL (it may longjmp out instead). */
typedef struct QhAlloc
{
	void	   *(*alloc) (void *ctx, size_t nbytes);
	void		(*release) (void *ctx, void *p);
	void	   *ctx;
} QhAlloc;

static inline void *
qh_take(const QhAlloc *alloc, size_t nbytes)
{
	return alloc->alloc(alloc->ctx, nbytes);
}

static inline void
qh_give(const QhAlloc *alloc, void *p)
{
	if (p != NULL)
		alloc->release(alloc->ctx, p);
}

/*
 * In a graph of low storage most nodes keep their links in few bytes: of each period of consecutive ids the
 * first count are hubs, with room for as many links as any node has, and the lists of the others are packed
 * into low_nbytes, which hold qh_pack_least(low_nbytes) links in any case and more where ids are close.
 * period 0: all nodes are hubs.
 */
typedef struct QhHubs
{
	uint32_t	period;
	uint32_t	count;
	uint32_t	low_nbytes;
} QhHubs;

static inline bool
qh_is_hub(const QhHubs *hubs, QhNode node)
{
	return hubs->period == 0 || node % hubs->period < hubs->count;
}

typedef struct QhStore QhStore;
/* Nodes that prefetch() may be told of at once. */
#define QH_PREFETCH_MAX	5

struct QhStore
{
	/* Links of a node into out (room for max_degree); returns their number, 0 for a node that is gone. */
	int			(*links) (QhStore *store, QhNode node, QhLink *out);
	/*
	 * Distance of the store's current query to each of n nodes; INFINITY for a
	 * node that is gone: it is then neither returned nor expanded.  A node
	 * that is only dying must keep its distance, since others are reached through it.
	 */
	void		(*score) (QhStore *store, const QhNode *nodes, int n, float *dist);
	/* Distance from node to each of n nodes (n may be 0); INFINITY to a node that is gone. */
	void		(*pair) (QhStore *store, QhNode node, const QhNode *nodes, int n, float *dist);
	/*
	 * score() in two steps, of which two may be on their way: fetch() asks for what scoring n nodes takes, score_fetched() scores
	 * those that were last given to fetch() for this place, 0 or 1, for the query that the store had then.  Both NULL: score() is called.
	 */
	void		(*fetch) (QhStore *store, int place, const QhNode *nodes, int n);
	void		(*score_fetched) (QhStore *store, int place, const QhNode *nodes, int n, float *dist);
	/* The first of these is asked for links next, the others probably soon, the nearest first; may be NULL. */
	void		(*prefetch) (QhStore *store, const QhNode *nodes, int n);
	int			prefetch_max;		/* prefetch() is told so many nodes at most, from 1 to QH_PREFETCH_MAX; the store may change it at any time */
	bool		at_once;		/* score neighbours before the next node is chosen: a node expanded for nothing costs more than latency */
	/* The place of a node's code, named by a node there: once one code of a place was read, others cost little.  NULL: all cost the same. */
	QhNode		(*place) (QhStore *store, QhNode node);
	int			max_degree;		/* 2m */
	QhHubs		hubs;
	bool		fills_up;		/* see QhBuildParams */
	QhNode		nnodes;			/* ids are below it, but for nodes inserted since it was set; 0 = not known */
};

typedef struct QhCandidate
{
	float		dist;
	QhNode		node;
} QhCandidate;

/* ---- search.c, search_budget.c, expand.c, search_memory.c: resumable best-first search ---- */

typedef struct QhSearch QhSearch;

typedef struct QhSearchLimits
{
	uint64_t	max_scored;		/* stop expanding once this many nodes were scored; 0 = none */
	size_t		max_nbytes;		/* likewise once more memory would be held, be it for a moment; 0 = none.  See qh_search_least_nbytes() */
	bool		resumable;		/* keep nodes that fell out of the window, so that next() can go on past ef */
	bool		hides;			/* search as if there were no node hidden: it is not scored, nor are its links followed */
	QhNode		hidden;
} QhSearchLimits;

typedef struct QhSearchStats
{
	uint64_t	nscored;
	uint64_t	nexpanded;
	size_t		nbytes;
	bool		limited;		/* a limit ended expansion before the graph was exhausted */
	bool		exhausted;		/* every node that was found is expanded: no other can be reached */
} QhSearchStats;

/*
 * What a search is to have done before it returns the next node.  Numbers of nodes count those returned before.
 */
typedef struct QhBudget
{
	uint64_t	ef_total;		/* of the nearest nodes found so many are expanded; a smaller number than before changes nothing */
	uint64_t	found_total;	/* so many are put in order, expanded or not */

	/*
	 * Of the nodes behind ef_total, up to the nearest most_total, those are expanded too whose distance is at most reach times
	 * that of the rank-th nearest node found; rank 0: none.  Distances must not be negative then.
	 */
	uint64_t	most_total;
	uint64_t	rank;
	float		reach;
	float		rank_dist;		/* the distance of that one, where it was returned already; 0 = as it was known before */

	/*
	 * Where the store has places, a neighbour at a place that the search has not read is deferred
	 * until a second node links to it.  Neighbours of the nearest whole_total nodes found, as far as
	 * those are in order, do not stay deferred.  0: nothing is deferred, from now on; a budget with
	 * another number is heeded from a search's first on only.
	 */
	uint64_t	whole_total;
} QhBudget;

/*
 * Bytes in which a search that begins with so many seeds can make one hop.  No search ever holds more than these, or than its limit
 * where that is larger: old and new memory together while an array grows included.
 */
extern size_t qh_search_least_nbytes(const QhStore *store, int nseeds);

extern QhSearch *qh_search_create(const QhAlloc *alloc, QhStore *store);
extern void qh_search_destroy(QhSearch *search);

/*
 * Begin a new search (reusing memory) from seeds, whose distances are given, in
 * any order.  They are not counted as scored.  limits is copied.
 */
extern void qh_search_start(QhSearch *search, const QhSearchLimits *limits, const QhCandidate *seeds, int nseeds);

/*
 * Next nearest node not returned yet, after making sure that the best ef_total nodes
 * found (those returned before included) have all been expanded.  ef_total may grow
 * from call to call; a smaller one than before changes nothing.  A node found late may be nearer
 * than one returned before.  False when none is left: graph exhausted, or !resumable and
 * the window is empty.  Once a limit is met the nodes already found go on coming, nearest first.
 */
extern bool qh_search_next(QhSearch *search, uint64_t ef_total, QhCandidate *out);
/*
 * The same by a budget, up to max > 0 nodes: those that one call after the other would return, as far as the budget puts nodes in order.  Returns
 * how many.  Nodes may be returned unexpanded, which is made up for when ef_total grows to include them, or nothing else is left.
 */
extern int qh_search_next_within(QhSearch *search, const QhBudget *budget, int max, QhCandidate *out);
/* The nearest nodes found and not returned yet, as things stand: at most max, without their distances. */
extern int qh_search_peek(const QhSearch *search, int max, QhNode *out);
extern const QhSearchStats *qh_search_stats(const QhSearch *search);

/* ---- neighbors.c: which of the candidates become neighbours ---- */

/*
 * Choose at most max of n candidates, sorted nearest first, for a node at the distances
 * given (HNSW algorithm 4 as README.md has it: diverse ones first, then the nearest of the rest to fill).
 * out holds indexes into cands in the order chosen.  Returns how many.
 */
extern int qh_select(const QhAlloc *alloc, QhStore *store, const QhCandidate *cands, int n, int max, int *out);

/* ---- bulk.c: a whole graph over codes in memory ---- */

typedef struct QhSpace
{
	/*
	 * Distances between opaque codes; ctx is the codec.  pair_block: each of nrows codes and each of n, both
	 * stride bytes apart; dist holds a row of n for each of the former.
	 */
	void		(*pair_block) (const void *ctx, const uint8_t *rows, int nrows, const uint8_t *base, size_t stride, int n, float *dist);
	void		(*pair) (const void *ctx, const uint8_t *code, const uint8_t *const *codes, int n, float *dist);
	const void *ctx;
	const uint8_t *codes;		/* n * stride readable bytes */
	size_t		stride;
	uint32_t	n;

	/*
	 * Where links lead far (inner product): the distances, likewise, that say which codes stand together, and the length of a code; many nodes link to the
	 * longest, wherever those stand.  All NULL: what is near stands together.
	 */
	void		(*place_block) (const void *ctx, const uint8_t *rows, int nrows, const uint8_t *base, size_t stride, int n, float *dist);
	void		(*place) (const void *ctx, const uint8_t *code, const uint8_t *const *codes, int n, float *dist);
	float		(*length) (const void *ctx, const uint8_t *code);
} QhSpace;

typedef enum QhBuildPhase
{
	QH_PHASE_PARTITION = 1,
	QH_PHASE_CANDIDATES,
	QH_PHASE_PRUNE,
	QH_PHASE_REVERSE,
	QH_PHASE_REACH
} QhBuildPhase;

typedef struct QhBuildParams
{
	int			m;				/* links a node asks for; at most 2m are kept */
	int			ef_construction;	/* candidates considered a node */
	uint64_t	seed;
	int			max_entries;
	QhHubs		hubs;			/* ids are places in the order, from a multiple of the period on */
	int			ntrees;			/* random trees to take candidates from; 0 = by ef_construction */

	/*
	 * Places that diversity leaves among a node's own links go to the nearest of those left out.  For inner products, under which a long
	 * node stands in front of nearly all others.
	 */
	bool		fills_up;
	/* Called often; may longjmp out (interrupts).  May be NULL. */
	void		(*progress) (void *ctx, QhBuildPhase phase, uint64_t done, uint64_t total);
	void	   *progress_ctx;
} QhBuildParams;

typedef struct QhGraph
{
	uint32_t	n;
	int			max_degree;		/* 2m */
	QhLink	   *links;			/* n * max_degree, QH_INVALID_NODE after the last of each; ids are input positions */
	uint32_t   *order;			/* order[i] = input position of the i-th node in an order in which neighbours are close */
	QhNode	   *entries;		/* entry points, input positions: first in the order, or behind hubs */
	int			nentries;
} QhGraph;

/* Memory the build of n nodes takes at its peak: copies of some of their codes, stride bytes each, included, the codes themselves excluded. */
extern size_t qh_build_nbytes(uint32_t n, const QhBuildParams *params, size_t stride);
extern QhGraph *qh_build(const QhAlloc *alloc, const QhSpace *space, const QhBuildParams *params);
extern void qh_graph_free(const QhAlloc *alloc, QhGraph *graph);
/* Random trees that candidates are taken from. */
extern int qh_build_ntrees(const QhBuildParams *params);
/* How many entry points an index of n nodes wants. */
extern int qh_entries_wanted(uint64_t n, int max_entries);

/* ---- link.c, repair.c: links of one node at a time, for a graph that changes under its users ---- */

/*
 * The access method is written against exactly these; link lists are max_degree
 * words with QH_INVALID_NODE behind the last link.
 */

/* Neighbours of a new node: at most m of n candidates, nearest first.  Returns how many. */
extern int qh_pick_neighbours(const QhAlloc *alloc, QhStore *store, const QhCandidate *cands, int n, int m, QhNode *out);

typedef enum QhRevision
{
	QH_UNCHANGED = 0,			/* out is links */
	QH_REVISED,
	QH_NO_ROOM					/* tree links fill the cap: out is links */
} QhRevision;

/*
 * The link list of node after it was offered a link to target.  tree_cap = 0 offers an ordinary
 * link, which pruning may turn away; otherwise it is a tree link, which makes an ordinary one yield if need be and is refused
 * only where node has tree_cap tree links already.  Tree links are never dropped; an ordinary link to target becomes the tree link.
 */
extern QhRevision qh_revise_links(const QhAlloc *alloc, QhStore *store, QhNode node, const QhLink *links,
								  QhNode target, int tree_cap, QhLink *out);

/*
 * The link list of a node whose neighbours were looked for again: from what it links to and n other candidates, all with their distances
 * and each once.  Tree links stay.  Those it did not link to before are to be offered links back.
 */
extern QhRevision qh_renew_links(const QhAlloc *alloc, QhStore *store, QhNode node, const QhLink *links,
								 const QhCandidate *cands, int n, QhLink *out);

/* Which nodes are on their way out. */
typedef struct QhDead
{
	bool		(*is_dead) (void *ctx, QhNode node);
	void	   *ctx;
} QhDead;

/*
 * The link list of node with its ordinary links to dead nodes replaced: from the live neighbours of those and of the dead beyond, or, where many
 * are lost, by a search.  Links to live nodes stay, and tree links, dead targets or not.  Returns QH_UNCHANGED or QH_REVISED; then those it
 * did not link to before are to be offered links back (qh_link_back).  Scratch is bounded by
 * max_degree * (max_degree + 3) candidates and a search of some thousand nodes.
 */
extern QhRevision qh_repair_links(const QhAlloc *alloc, QhStore *store, QhNode node, const QhLink *links,
								  const QhDead *dead, QhLink *out);

/* The link list of node after a repaired node offered it a link back to itself, the target: as qh_revise_links(), but only short lists take one. */
extern QhRevision qh_link_back(const QhAlloc *alloc, QhStore *store, QhNode node, const QhLink *links, QhNode target, QhLink *out);

/* One change of a link list. */
typedef struct QhLinkChange
{
	QhNode		node;
	QhLink	   *old_links;		/* caller's memory, max_degree words each */
	QhLink	   *new_links;
} QhLinkChange;

#define QH_MAX_SPLICE_CHANGES 2

/*
 * The next step in taking dead node out of the tree; parent is the node with the tree link to it, or QH_INVALID_NODE for an
 * entry point.  Each step, applied whole, leaves every other node reachable over tree links.  While dead has several tree
 * children, one is moved below another (or a descendant of it with room); the last takes dead's place at
 * parent (dead loses its tree link in the same step); with none left parent just loses its link.  For an entry point *heir
 * is set to the last child, which the caller makes an entry point before it applies the step.
 * Returns the number of changes, 0 when dead is out of the tree (or parent has no tree link to it any more).
 */
extern int qh_plan_splice(const QhAlloc *alloc, QhStore *store, QhNode parent, QhNode dead,
						  QhLinkChange changes[QH_MAX_SPLICE_CHANGES], QhNode *heir);

/* ---- pack.c: link lists in few bytes ---- */

#define QH_PACK_MAX			200 /* links of a list that is packed */
#define QH_PACK_PADDING		8	/* bytes behind a packed list that may be read */

/* Links that nbytes (16 or more) hold whatever their ids are. */
extern int	qh_pack_least(size_t nbytes);
/* Pack the n links of a node into out.  False where they do not fit or are no list; out NULL only asks. */
extern bool qh_pack_links(QhNode owner, const QhLink *links, int n, uint8_t *out, size_t nbytes);
/* Links of a packed list, in the order of their ids, or -1 for bytes that are no list of at most max. */
extern int	qh_unpack_links(QhNode owner, const uint8_t *in, size_t nbytes, int max, QhLink *links);

/* Is there room at owner for these links? */
extern bool qh_links_fit(const QhHubs *hubs, int max_degree, QhNode owner, const QhLink *links, int n);
/*
 * Keep of n links of owner what there is room for: tree links, no more than qh_room() of them, and then the others as
 * they come.  Returns how many are left.
 */
extern int	qh_fit_links(const QhHubs *hubs, int max_degree, QhNode owner, QhLink *links, int n);

/* Links that there is room for at a node whatever their ids are. */
static inline int
qh_room(const QhHubs *hubs, int max_degree, QhNode node)
{
	int			least = qh_is_hub(hubs, node) ? max_degree : qh_pack_least(hubs->low_nbytes);

	return least < max_degree ? least : max_degree;
}

/* ---- verify.c: what must hold of any graph ---- */

typedef enum QhFaultKind
{
	QH_FAULT_NONE = 0,
	QH_FAULT_RANGE,				/* link to an id >= nnodes */
	QH_FAULT_SELF,				/* link to itself */
	QH_FAULT_TWICE,				/* the same link twice */
	QH_FAULT_GONE,				/* link to a node that is not in use */
	QH_FAULT_UNREACHABLE,		/* no path from the entry points */
	QH_FAULT_TREE				/* not the target of exactly one tree link (an entry: of more than one) */
} QhFaultKind;

typedef struct QhFault
{
	QhFaultKind kind;
	QhNode		node;			/* QH_INVALID_NODE: the entry points */
	QhNode		other;			/* the link's target, or QH_INVALID_NODE */
} QhFault;

typedef struct QhCheckInput
{
	uint32_t	nnodes;			/* ids are 0 .. nnodes - 1 */
	bool		(*in_use) (void *ctx, QhNode node);
	const QhNode *entries;
	int			nentries;
	void	   *ctx;
	void		(*report) (void *ctx, const QhFault *fault);	/* called for each fault */
	void		(*progress) (void *ctx);	/* may be NULL */
	/* Is a node in use on its way out?  It may be out of the tree already.  May be NULL. */
	bool		(*is_dying) (void *ctx, QhNode node);
} QhCheckInput;

/*
 * Returns the number of faults.  Takes five bits a node and a work list of bounded length.
 * Links of nodes not in use are not looked at.
 */
extern uint64_t qh_check(const QhAlloc *alloc, QhStore *store, const QhCheckInput *input);

#endif							/* QH_GRAPH_H */
