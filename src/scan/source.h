/*
 * source.h
 *		Where a scan's candidates come from: one interface, and a file for each source.
 *
 * A new source (a filter's own list, inverted lists) is a new file with a function that makes
 * one, and a case in source.c, which chooses.  Nothing above source.c knows which source it has.
 */
#ifndef QH_SOURCE_H
#define QH_SOURCE_H

#include "scan/scan_state.h"

/* What next() returns where the scan is to go on as a pass over all codes. */
#define QH_GO_ON_FLAT	(-1)

/*
 * A source of candidates.  It begins a struct of the source's own, made in query_cxt, which goes
 * with that context.
 */
typedef struct QhCandidateSource QhCandidateSource;
struct QhCandidateSource
{
	/*
	 * The next candidates, nearest first as far as the source can tell: at least one and at most
	 * max.  0 = there are no more; QH_GO_ON_FLAT = there are, but another source is to find them.
	 * Called in query_cxt.
	 */
	int			(*next) (QhCandidateSource *source, QhScan *scan, int max, QhCandidate *out);

	/*
	 * Nodes that next() is likely to give next, in that order, as far as that is known without
	 * reading: at most max.  Returns how many.
	 */
	int			(*peek) (const QhCandidateSource *source, int max, QhNode *out);
	/* Give back what would otherwise stay until the query ends. */
	void		(*end) (QhCandidateSource *source);

	bool		has_estimates;	/* candidates have the distances of their codes; false = 0, and no order */
	bool		gives_late;		/* a candidate may be nearer than one given before it */
};

/* ---- source_graph.c: a graph search, resumed as long as rows are wanted ---- */

/* NULL if no entry point is known that the search could begin with. */
extern QhCandidateSource *qh_source_graph(QhScan *scan);

/* ---- source_walk.c: the same, of which only nodes are taken that may pass the conditions ---- */

/* Likewise. */
extern QhCandidateSource *qh_source_walk(QhScan *scan);

/* ---- source_flat.c: passes over all codes, best first ---- */

/*
 * Makes the first pass, which keeps at least the best ncandidates as far as memory allows.
 * Leaves out what the graph has given.
 */
extern QhCandidateSource *qh_source_flat(QhScan *scan, double ncandidates);

/* ---- source_all.c: all nodes in no order, or none ---- */

extern QhCandidateSource *qh_source_all(QhScan *scan);
extern QhCandidateSource *qh_source_none(void);

/* ---- source.c: which of them ---- */

/* Choose between the graph and a pass over all codes, for a query that is prepared. */
extern QhCandidateSource *qh_source_choose(QhScan *scan);
/* Leave the graph for a pass over all codes, and take the first candidate from there. */
extern int	qh_source_go_on_flat(QhScan *scan, QhCandidate *out);

/* The next candidates: at least one and at most max; 0 where there are no more. */
static inline int
qh_source_next(QhScan *scan, int max, QhCandidate *out)
{
	int			n = scan->q.source->next(scan->q.source, scan, max, out);

	return likely(n >= 0) ? n : qh_source_go_on_flat(scan, out);
}

static inline int
qh_source_peek(const QhScan *scan, int max, QhNode *out)
{
	return scan->q.source->peek(scan->q.source, max, out);
}

#endif							/* QH_SOURCE_H */
