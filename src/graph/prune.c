/*
 * prune.c
 *		From candidate lists to links: a node's own, and those that answer them.
 *
 * Knows codes only through distances.  Own links are the diverse ones of the
 * node's candidates.  Every link is then answered by one in the other
 * direction, so that what finds is also found; a node that more answers reach than it has
 * places keeps the diverse ones.  Answers are collected first and
 * applied node by node, so that each range of nodes writes only its own links.
 * BUILD.md, "Phases".
 */
#include "graph/bulk.h"

/*
 * Places that diversity leaves are not filled up, neither among the own links
 * nor among the answers: filling buys recall at a given ef but none at a given
 * number of distances.  doc/decisions/0064.
 */
#ifndef QH_OWN_FILL_TO
#define QH_OWN_FILL_TO(m)		0
#endif
#ifndef QH_ANSWER_FILL_TO
#define QH_ANSWER_FILL_TO(m)	0
#endif

/* Where links lead far one long node stands in front of nearly all others: half of the own links are filled up.  doc/decisions/0111. */
#ifndef QH_FAR_OWN_FILL_TO
#define QH_FAR_OWN_FILL_TO(m)	((m) / 2)
#endif

static int
own_fill_to(const QhBulk *build)
{
	if (build->params->fills_up)
		return build->m;
	return build->space->length != NULL ? QH_FAR_OWN_FILL_TO(build->m) : QH_OWN_FILL_TO(build->m);
}

/* Candidates of one node when its answers are pruned, in multiples of max_degree; chosen by hand. */
#define ANSWER_CANDIDATES	4

static QhLink *
links_of(const QhBulk *build, QhNode node)
{
	return build->graph->links + (size_t) node * (size_t) build->max_degree;
}

void
qh_prune_nodes(QhBulk *build, uint32_t begin, uint32_t end)
{
	size_t		nkeep = (size_t) build->nkeep;
	QhSelectWork *work = qh_select_work_create(build->alloc, build->nkeep);
	QhCandidate *cands = qh_build_alloc(build, nkeep * sizeof(QhCandidate));
	int		   *chosen = qh_build_alloc(build, nkeep * sizeof(int));
	QhSpaceStore store;

	qh_space_store_init(&store, build->space);
	for (uint32_t node = begin; node < end; node++)
	{
		const uint64_t *list = build->lists + node * nkeep;
		uint32_t	salt = qh_key_salt(node);
		QhLink	   *links = links_of(build, node);
		QhSelectInput input = {.cands = cands, .max = build->m, .fill_to = own_fill_to(build)};
		int			n;

		for (; (size_t) input.n < nkeep && list[input.n] != QH_KEY_NONE; input.n++)
			cands[input.n] = (QhCandidate) {qh_key_dist(list[input.n]), qh_key_node(list[input.n], salt)};
		n = qh_select_with(work, &store.store, &input, chosen);
		for (int i = 0; i < build->max_degree; i++)
			links[i] = i < n ? cands[chosen[i]].node : QH_INVALID_NODE;
		qh_build_progress(build, QH_PHASE_PRUNE, 1, node - begin, end - begin);
	}
	qh_build_release(build, chosen);
	qh_build_release(build, cands);
	qh_select_work_destroy(build->alloc, work);
}

/* Sort the links by target: a counting sort in two passes over them. */
void
qh_collect_sources(QhBulk *build)
{
	uint32_t	n = build->n;
	uint64_t   *begin;

	begin = build->source_begin = qh_build_alloc(build, ((size_t) n + 1) * sizeof(uint64_t));
	for (uint32_t i = 0; i <= n; i++)
		begin[i] = 0;
	for (uint32_t node = 0; node < n; node++)
	{
		const QhLink *links = links_of(build, node);

		for (int i = 0; i < build->max_degree && links[i] != QH_INVALID_NODE; i++)
			begin[qh_link_node(links[i]) + 1]++;
		qh_build_progress(build, QH_PHASE_REVERSE, 1, 0, n);
	}
	for (uint32_t i = 0; i < n; i++)
		begin[i + 1] += begin[i];
	build->sources = qh_build_alloc(build, begin[n] * sizeof(QhNode));
	for (uint32_t node = 0; node < n; node++)
	{
		const QhLink *links = links_of(build, node);

		/* begin[target] moves on as sources are put down, and ends where target + 1 began */
		for (int i = 0; i < build->max_degree && links[i] != QH_INVALID_NODE; i++)
		{
			QV_ASSERT(begin[qh_link_node(links[i])] < begin[n]);
			build->sources[begin[qh_link_node(links[i])]++] = node;
		}
		qh_build_progress(build, QH_PHASE_REVERSE, 1, 0, n);
	}
	for (uint32_t i = n; i > 0; i--)
		begin[i] = begin[i - 1];
	begin[0] = 0;
}

/* Scratch of one range of nodes. */
typedef struct AnswerWork
{
	QhSpaceStore store;
	QhSelectWork *select;
	QhNode	   *nodes;
	float	   *dist;
	QhCandidate *cands;
	uint8_t    *kept;
	int		   *chosen;
	int			ncands;
	int			capacity;
} AnswerWork;

/*
 * Fill work->cands with own links and sources of a node, each once.  More
 * than capacity of them are thinned at regular intervals: sources stand in
 * the order of ids, which means nothing.
 */
static void
collect_neighbors(QhBulk *build, AnswerWork *work, QhNode node)
{
	const QhLink *links = links_of(build, node);
	int			nlinks = qh_list_count(links, build->max_degree);
	const QhNode *sources = build->sources + build->source_begin[node];
	uint64_t	nsources = build->source_begin[node + 1] - build->source_begin[node];
	uint64_t	room = (uint64_t) (work->capacity - nlinks);
	int			n = 0;

	QV_ASSERT(nlinks <= work->capacity);
	for (; n < nlinks; n++)
		work->nodes[n] = qh_link_node(links[n]);
	for (uint64_t i = 0; i < nsources && i < room; i++)
	{
		QhNode		source = sources[nsources > room ? i * nsources / room : i];
		bool		known = build->home != NULL && build->home[source] == build->home[node];

		for (int j = 0; j < nlinks && !known; j++)
			known = qh_link_node(links[j]) == source;
		if (!known)
		{
			QV_ASSERT(n < work->capacity);
			work->nodes[n++] = source;
		}
	}
	work->ncands = n;
}

/* Choose among more candidates than there are places; the result is in cands[chosen[i]]. */
static int
choose_answers(QhBulk *build, AnswerWork *work, QhNode node)
{
	QhSelectInput input = {.cands = work->cands, .kept = work->kept, .n = work->ncands, .max = qh_build_degree(build, node), .fill_to = QH_ANSWER_FILL_TO(build->m)};
	const QhLink *links = links_of(build, node);

	qh_space_pair(build->space, node, work->nodes, work->ncands, work->dist);
	for (int i = 0; i < work->ncands; i++)
		work->cands[i] = (QhCandidate) {work->dist[i], work->nodes[i]};
	qh_candidates_sort(work->select, work->cands, work->ncands, node);
	for (int i = 0; i < work->ncands; i++)
	{
		int			at = qh_list_find(links, build->max_degree, work->cands[i].node);

		work->kept[i] = at >= 0 && (links[at] & QH_KEEP_LINK) != 0;
	}
	return qh_select_with(work->select, &work->store.store, &input, work->chosen);
}

/*
 * Give a node its final links, those that had to be kept first: the tree
 * claims links from the front, and a tree link is kept forever.
 */
static void
answer_node(QhBulk *build, AnswerWork *work, QhNode node)
{
	QhLink	   *links = links_of(build, node);
	int			nkept = 0;
	int			n;

	collect_neighbors(build, work, node);
	n = work->ncands;
	if (n > qh_build_degree(build, node))
	{
		n = choose_answers(build, work, node);
		for (int i = 0; i < n; i++)
			work->nodes[i] = work->cands[work->chosen[i]].node;
	}
	for (int i = 0; i < n; i++)
	{
		int			at = qh_list_find(links, build->max_degree, work->nodes[i]);

		work->kept[i] = at >= 0 && (links[at] & QH_KEEP_LINK) != 0;
	}
	QV_ASSERT(n <= build->max_degree);
	for (int i = 0; i < n; i++)
		if (work->kept[i])
			links[nkept++] = work->nodes[i];
	for (int i = 0; i < n; i++)
		if (!work->kept[i])
			links[nkept++] = work->nodes[i];
	qh_list_end(links, build->max_degree, qh_build_fit(build, node, links, n));
}

void
qh_answer_links(QhBulk *build, uint32_t begin, uint32_t end)
{
	AnswerWork	work;
	size_t		capacity = (size_t) build->max_degree * ANSWER_CANDIDATES;

	qh_space_store_init(&work.store, build->space);
	work.capacity = (int) capacity;
	work.select = qh_select_work_create(build->alloc, work.capacity);
	work.nodes = qh_build_alloc(build, capacity * sizeof(QhNode));
	work.dist = qh_build_alloc(build, capacity * sizeof(float));
	work.cands = qh_build_alloc(build, capacity * sizeof(QhCandidate));
	work.kept = qh_build_alloc(build, capacity);
	work.chosen = qh_build_alloc(build, capacity * sizeof(int));
	for (uint32_t node = begin; node < end; node++)
	{
		answer_node(build, &work, node);
		qh_build_progress(build, QH_PHASE_REVERSE, 1, node - begin, end - begin);
	}
	qh_build_release(build, work.chosen);
	qh_build_release(build, work.kept);
	qh_build_release(build, work.cands);
	qh_build_release(build, work.dist);
	qh_build_release(build, work.nodes);
	qh_select_work_destroy(build->alloc, work.select);
}
