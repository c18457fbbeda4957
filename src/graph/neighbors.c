/*
 * neighbors.c
 *		Which of the candidates become neighbours.
 *
 * The heuristic of HNSW (Malkov and Yashunin 2016, algorithm 4): going from
 * near to far, a candidate is left out when a neighbour already chosen is
 * nearer to it than the node itself is.  Knows distances only through the store.
 * README.md, "Selection".
 */
#include "graph/order.h"
#include "graph/neighbors.h"

QhSelectWork *
qh_select_work_create(const QhAlloc *alloc, int capacity)
{
	QhSelectWork *work = alloc->alloc(alloc->ctx, sizeof(QhSelectWork));
	size_t		n = (size_t) (capacity > 0 ? capacity : 1);

	work->capacity = capacity;
	work->nodes = alloc->alloc(alloc->ctx, n * sizeof(QhNode));
	work->dist = alloc->alloc(alloc->ctx, n * sizeof(float));
	work->alive = alloc->alloc(alloc->ctx, n * sizeof(int));
	work->rejected = alloc->alloc(alloc->ctx, n * sizeof(int));
	work->keys = alloc->alloc(alloc->ctx, n * sizeof(uint64_t));
	return work;
}

void
qh_select_work_destroy(const QhAlloc *alloc, QhSelectWork *work)
{
	alloc->release(alloc->ctx, work->nodes);
	alloc->release(alloc->ctx, work->dist);
	alloc->release(alloc->ctx, work->alive);
	alloc->release(alloc->ctx, work->rejected);
	alloc->release(alloc->ctx, work->keys);
	alloc->release(alloc->ctx, work);
}

/*
 * Take out of alive[from .. n) what the chosen node stands in front of.  The
 * paper asks of each candidate whether any chosen neighbour is in its way;
 * asked the other way round it is the same set, but one batch of distances a
 * neighbour, and none for candidates already out.
 *
 * Only strictly nearer counts: where all distances are equal (duplicates of a
 * pattern, orthogonal codes) a node would otherwise get one single link.
 */
static int
cast_shadow(QhSelectWork *work, QhStore *store, const QhSelectInput *input, QhNode chosen, int from, int n)
{
	int			nleft = from;
	int			nrejected = work->nrejected;

	for (int i = from; i < n; i++)
		work->nodes[i] = input->cands[work->alive[i]].node;
	store->pair(store, chosen, work->nodes + from, n - from, work->dist + from);
	for (int i = from; i < n; i++)
	{
		int			cand = work->alive[i];
		bool		kept = input->kept != NULL && input->kept[cand];
		bool		other = work->nodes[i] != chosen;	/* listed twice: once is enough */
		bool		hidden = !kept && work->dist[i] < input->cands[cand].dist;

		QV_ASSERT(nrejected < work->capacity);
		/* written to both, and counted in one: nothing has to be predicted */
		work->rejected[nrejected] = cand;
		nrejected += other && hidden;
		work->alive[nleft] = cand;
		nleft += other && !hidden;
	}
	work->nrejected = nrejected;
	return nleft;
}

/* Add the nearest of the rejected until there are fill_to; rejected is in no order. */
static int
fill_up(QhSelectWork *work, const QhSelectInput *input, int nchosen, int *out)
{
	int			nrejected = work->nrejected;

	/* candidates are sorted, so their positions order them */
	for (int i = 1; i < nrejected; i++)
	{
		int			cand = work->rejected[i];
		int			j = i;

		for (; j > 0 && work->rejected[j - 1] > cand; j--)
			work->rejected[j] = work->rejected[j - 1];
		work->rejected[j] = cand;
	}
	for (int i = 0; i < nrejected && nchosen < input->fill_to; i++)
	{
		QhNode		node = input->cands[work->rejected[i]].node;
		bool		twice = false;

		for (int j = 0; j < nchosen && !twice; j++)
			twice = input->cands[out[j]].node == node;
		if (!twice)
			out[nchosen++] = work->rejected[i];
	}
	return nchosen;
}

int
qh_select_with(QhSelectWork *work, QhStore *store, const QhSelectInput *input, int *out)
{
	int			n = input->n;
	int			nchosen = 0;
	int			nkept = 0;

	QV_ASSERT(n <= work->capacity && input->fill_to <= input->max);
	work->nrejected = 0;
	for (int i = 0; i < n; i++)
	{
		work->alive[i] = i;
		if (input->kept != NULL && input->kept[i])
			nkept++;
	}
	for (int i = 0; i < n && nchosen < input->max; i++)
	{
		int			cand = work->alive[i];
		bool		kept = input->kept != NULL && input->kept[cand];

		if (!kept && nchosen + nkept >= input->max)
			continue;			/* the places left belong to those that must be kept */
		if (kept)
			nkept--;
		out[nchosen++] = cand;
		if (nchosen < input->max && i + 1 < n)
			n = cast_shadow(work, store, input, input->cands[cand].node, i + 1, n);
	}
	if (nchosen < input->fill_to)
		nchosen = fill_up(work, input, nchosen, out);
	QV_ASSERT(nchosen <= input->n);
	return nchosen;
}

void
qh_candidates_sort(QhSelectWork *work, QhCandidate *cands, int n, QhNode owner)
{
	uint32_t	salt = qh_key_salt(owner);

	QV_ASSERT(n <= work->capacity);
	for (int i = 0; i < n; i++)
		work->keys[i] = qh_key(cands[i].dist, cands[i].node, salt);
	qh_keys_sort(work->keys, (uint32_t) n);
	for (int i = 0; i < n; i++)
		cands[i] = (QhCandidate) {qh_key_dist(work->keys[i]), qh_key_node(work->keys[i], salt)};
}

int
qh_select(const QhAlloc *alloc, QhStore *store, const QhCandidate *cands, int n, int max, int *out)
{
	QhSelectInput input = {.cands = cands, .n = n, .max = max, .fill_to = max};
	QhSelectWork *work = qh_select_work_create(alloc, n);
	int			nchosen = qh_select_with(work, store, &input, out);

	qh_select_work_destroy(alloc, work);
	return nchosen;
}
