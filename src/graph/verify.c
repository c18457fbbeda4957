/*
 * verify.c
 *		What must hold of any graph, checked in a few bits a node.
 *
 * Reads through the store and believes nothing it reads.  Each node's list is
 * looked at once by itself; then the tree links are followed from the entry
 * points, and only where they do not lead everywhere are all links followed.
 * README.md, "Checking".
 */
#include <string.h>

#include "graph/graph.h"
#include "kernel/assert.h"

/*
 * Nodes deferred to be expanded that are remembered as a list; more than that
 * are found again by going through the bitmaps.  256 kB.
 */
#define WORK_MAX		65536

/* Nodes between two calls of progress(). */
#define PROGRESS_NODES		1024

typedef struct Check
{
	QhStore    *store;
	const QhCheckInput *input;
	uint64_t	nfaults;
	uint64_t	nseen;			/* nodes looked at, for progress() */
	QhLink	   *links;
	QhLink	   *sorted;

	/* a bit a node */
	uint8_t    *entry;
	uint8_t    *once;			/* target of at least one tree link */
	uint8_t    *twice;			/* target of at least two */
	uint8_t    *reached;
	uint8_t    *expanded;

	QhNode	   *work;
	uint32_t	nwork;
	bool		spilled;		/* some reached nodes are neither expanded nor in work */
} Check;

static inline bool
test_bit(const uint8_t *bits, QhNode node)
{
	return (bits[node / 8] >> (node % 8)) & 1;
}

static inline void
set_bit(uint8_t *bits, QhNode node)
{
	bits[node / 8] |= (uint8_t) (1 << (node % 8));
}

static void
report(Check *check, QhFaultKind kind, QhNode node, QhNode other)
{
	QhFault		fault = {kind, node, other};

	check->nfaults++;
	if (check->input->report != NULL)
		check->input->report(check->input->ctx, &fault);
}

static void
progress(Check *check)
{
	if (++check->nseen % PROGRESS_NODES == 0 && check->input->progress != NULL)
		check->input->progress(check->input->ctx);
}

static bool
in_use(const Check *check, QhNode node)
{
	return node < check->input->nnodes && check->input->in_use(check->input->ctx, node);
}

/* In use, and to be found: a dying node may have left the tree, and nothing need lead to it. */
static bool
to_be_reached(const Check *check, QhNode node)
{
	return in_use(check, node) &&
		(check->input->is_dying == NULL || !check->input->is_dying(check->input->ctx, node));
}

/* Links of a node, or none where the store returns nonsense. */
static int
read_links(Check *check, QhNode node)
{
	int			n = check->store->links(check->store, node, check->links);

	return n < 0 || n > check->store->max_degree ? 0 : n;
}

static void
check_entries(Check *check)
{
	for (int i = 0; i < check->input->nentries; i++)
	{
		QhNode		node = check->input->entries[i];

		if (node >= check->input->nnodes)
			report(check, QH_FAULT_RANGE, QH_INVALID_NODE, node);
		else if (!in_use(check, node))
			report(check, QH_FAULT_GONE, QH_INVALID_NODE, node);
		else if (test_bit(check->entry, node))
			report(check, QH_FAULT_TWICE, QH_INVALID_NODE, node);
		else
			set_bit(check->entry, node);
	}
}

static void
check_twice(Check *check, QhNode node, int n)
{
	QhNode	   *sorted = check->sorted;

	for (int i = 0; i < n; i++)
	{
		QhNode		other = qh_link_node(check->links[i]);
		int			j = i;

		for (; j > 0 && sorted[j - 1] > other; j--)
			sorted[j] = sorted[j - 1];
		sorted[j] = other;
	}
	for (int i = 1; i < n; i++)
		if (sorted[i] == sorted[i - 1] && (i == 1 || sorted[i] != sorted[i - 2]))
			report(check, QH_FAULT_TWICE, node, sorted[i]);
}

/* One node's list by itself; also counts tree links by target. */
static void
check_node(Check *check, QhNode node)
{
	int			n = read_links(check, node);

	check_twice(check, node, n);
	for (int i = 0; i < n; i++)
	{
		QhNode		other = qh_link_node(check->links[i]);

		if (other >= check->input->nnodes)
			report(check, QH_FAULT_RANGE, node, other);
		else if (other == node)
			report(check, QH_FAULT_SELF, node, other);
		else if (!in_use(check, other))
		{
			/* dying nodes are freed one by one, and until then keep their links to each other */
			if (to_be_reached(check, node))
				report(check, QH_FAULT_GONE, node, other);
		}
		else if (check->links[i] & QH_TREE_LINK)
			set_bit(test_bit(check->once, other) ? check->twice : check->once, other);
	}
}

static void
reach(Check *check, QhNode node)
{
	set_bit(check->reached, node);
	if (check->nwork < WORK_MAX)
		check->work[check->nwork++] = node;
	else
		check->spilled = true;
}

/* Follow links that have all bits of mask from everything in the work list. */
static void
follow_work(Check *check, QhLink mask)
{
	while (check->nwork > 0)
	{
		QhNode		node = check->work[--check->nwork];
		int			n = read_links(check, node);

		set_bit(check->expanded, node);
		for (int i = 0; i < n; i++)
		{
			QhNode		other = qh_link_node(check->links[i]);

			if ((check->links[i] & mask) == mask && in_use(check, other) && !test_bit(check->reached, other))
				reach(check, other);
		}
		progress(check);
	}
}

/* Reach what can be reached from the nodes reached so far. */
static void
follow(Check *check, QhLink mask)
{
	do
	{
		/* at the start, and whenever the list spilled: what is deferred is in the bitmaps */
		check->spilled = false;
		for (QhNode node = 0; node < check->input->nnodes; node++)
		{
			if (test_bit(check->reached, node) && !test_bit(check->expanded, node))
			{
				QV_ASSERT(check->nwork < WORK_MAX);
				check->work[check->nwork++] = node;
				follow_work(check, mask);
			}
		}
	} while (check->spilled);
}

/*
 * A node has one parent, an entry point at most one; and as a cycle of tree
 * links would satisfy that, the tree must lead to it too.
 */
static void
check_tree(Check *check)
{
	size_t		nbytes = ((size_t) check->input->nnodes + 7) / 8;
	bool		everywhere = true;

	memcpy(check->reached, check->entry, nbytes);
	follow(check, QH_TREE_LINK);
	for (QhNode node = 0; node < check->input->nnodes; node++)
	{
		bool		by_tree = test_bit(check->reached, node);

		progress(check);
		if (!to_be_reached(check, node))
			continue;
		everywhere = everywhere && by_tree;
		/* a node that became an entry point later may keep its tree link */
		if (!by_tree || test_bit(check->twice, node) ||
			(!test_bit(check->once, node) && !test_bit(check->entry, node)))
			report(check, QH_FAULT_TREE, node, QH_INVALID_NODE);
	}
	if (everywhere)
		return;
	memset(check->expanded, 0, nbytes);
	follow(check, 0);
	for (QhNode node = 0; node < check->input->nnodes; node++)
		if (to_be_reached(check, node) && !test_bit(check->reached, node))
			report(check, QH_FAULT_UNREACHABLE, node, QH_INVALID_NODE);
}

uint64_t
qh_check(const QhAlloc *alloc, QhStore *store, const QhCheckInput *input)
{
	Check		check = {.store = store, .input = input};
	size_t		nbytes = ((size_t) input->nnodes + 7) / 8;
	size_t		degree = (size_t) store->max_degree;
	uint8_t    *bits = alloc->alloc(alloc->ctx, 5 * nbytes + 1);

	memset(bits, 0, 5 * nbytes + 1);
	check.entry = bits;
	check.once = bits + nbytes;
	check.twice = bits + 2 * nbytes;
	check.reached = bits + 3 * nbytes;
	check.expanded = bits + 4 * nbytes;
	check.links = alloc->alloc(alloc->ctx, degree * sizeof(QhLink));
	check.sorted = alloc->alloc(alloc->ctx, degree * sizeof(QhLink));
	check.work = alloc->alloc(alloc->ctx, WORK_MAX * sizeof(QhNode));

	check_entries(&check);
	for (QhNode node = 0; node < input->nnodes; node++)
	{
		if (in_use(&check, node))
			check_node(&check, node);
		progress(&check);
	}
	check_tree(&check);

	alloc->release(alloc->ctx, check.work);
	alloc->release(alloc->ctx, check.sorted);
	alloc->release(alloc->ctx, check.links);
	alloc->release(alloc->ctx, bits);
	return check.nfaults;
}
