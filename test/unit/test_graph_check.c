/*
 * test_graph_check.c
 *		The checker finds each kind of fault, names it, and finds none in a sound graph.
 */
#include "graph/lists.h"
#include "graph_memory.h"

static void
count_call(void *ctx)
{
	/* the checker has one context for all callbacks */
	((Memory *) ctx)->nprefetches++;
}

/* A binary tree of tree links below node 0, with the ordinary links of a ring. */
static void
make_tree(Memory *mem, const Code *codes, uint32_t n)
{
	memory_init(mem, codes, n, 6);
	for (QhNode node = 0; node < n; node++)
	{
		QhLink	   *links = memory_links(mem, node);
		int			nlinks = 0;

		for (uint32_t child = 2 * node + 1; child <= 2 * node + 2; child++)
			if (child < n)
				links[nlinks++] = child | QH_TREE_LINK;
		if (qh_list_find(links, 6, (node + 5) % n) < 0 && (node + 5) % n != node)
			links[nlinks++] = (node + 5) % n;
	}
	mem->entries[0] = 0;
	mem->nentries = 1;
}

/* Exactly these faults, the last of them being at node and other. */
static void
expect(Memory *mem, QhFaultKind kind, uint64_t count, QhNode node, QhNode other, const char *what)
{
	uint64_t	nfaults = memory_check(mem);

	ok(mem->nfaults[kind] == count && nfaults >= count, "%s: %llu of %llu faults", what,
	   (unsigned long long) mem->nfaults[kind], (unsigned long long) nfaults);
	if (nfaults == count)
		ok(mem->last_fault.kind == kind && mem->last_fault.node == node && mem->last_fault.other == other,
		   "%s: names node %u and %u", what, node, other);
}

static void
test_faults(const Code *codes)
{
	enum
	{
		N = 100
	};
	Memory		mem;

	make_tree(&mem, codes, N);
	ok(memory_check(&mem) == 0, "a sound graph has no fault");

	memory_links(&mem, 60)[0] = N;
	expect(&mem, QH_FAULT_RANGE, 1, 60, N, "link beyond the last node");
	memory_links(&mem, 60)[0] = QH_MAX_NODES | QH_TREE_LINK;
	expect(&mem, QH_FAULT_RANGE, 1, 60, QH_MAX_NODES, "tree link beyond the last node");
	memory_links(&mem, 60)[0] = 60;
	expect(&mem, QH_FAULT_SELF, 1, 60, 60, "link to itself");
	memory_links(&mem, 60)[0] = 7;
	memory_links(&mem, 60)[1] = 9;
	memory_links(&mem, 60)[2] = 7;
	memory_links(&mem, 60)[3] = 7;
	expect(&mem, QH_FAULT_TWICE, 1, 60, 7, "the same link thrice");
	memory_links(&mem, 60)[2] = memory_links(&mem, 60)[3] = QH_INVALID_NODE;
	ok(memory_check(&mem) == 0, "sound again");

	/* 99 is a leaf below 49, and the ring links to it from 94 */
	mem.gone[99] = 1;
	expect(&mem, QH_FAULT_GONE, 2, 94, 99, "links to a node not in use");
	qh_list_drop(memory_links(&mem, 49), 6, 99);
	expect(&mem, QH_FAULT_GONE, 1, 94, 99, "link to a node not in use");
	qh_list_drop(memory_links(&mem, 94), 6, 99);
	ok(memory_check(&mem) == 0, "a node that is gone and not linked to is no fault");
	memory_links(&mem, 99)[0] = 12345;
	ok(memory_check(&mem) == 0, "its own links do not matter");
	memory_free(&mem);
}

static void
test_tree_faults(const Code *codes)
{
	enum
	{
		N = 100
	};
	Memory		mem;

	make_tree(&mem, codes, N);
	qh_list_drop(memory_links(&mem, 49), 6, 99);
	expect(&mem, QH_FAULT_TREE, 1, 99, QH_INVALID_NODE, "a node without a tree link, though others lead to it");
	memory_free(&mem);

	make_tree(&mem, codes, N);
	qh_list_drop(memory_links(&mem, 49), 6, 99);
	qh_list_drop(memory_links(&mem, 94), 6, 99);
	expect(&mem, QH_FAULT_UNREACHABLE, 1, 99, QH_INVALID_NODE, "a node that nothing links to");
	ok(mem.nfaults[QH_FAULT_TREE] == 1 && mem.nfaults[QH_FAULT_UNREACHABLE] == 1, "is also none of the tree's");
	memory_free(&mem);

	make_tree(&mem, codes, N);
	memory_links(&mem, 98)[1] = 77 | QH_TREE_LINK;
	expect(&mem, QH_FAULT_TREE, 1, 77, QH_INVALID_NODE, "two tree links to a node");
	memory_links(&mem, 97)[1] = 77 | QH_TREE_LINK;
	expect(&mem, QH_FAULT_TREE, 1, 77, QH_INVALID_NODE, "three tree links to a node");
	memory_free(&mem);

	make_tree(&mem, codes, N);
	memory_links(&mem, 98)[1] = 0 | QH_TREE_LINK;
	ok(memory_check(&mem) == 0, "an entry point may have a parent");
	memory_links(&mem, 97)[1] = 0 | QH_TREE_LINK;
	expect(&mem, QH_FAULT_TREE, 1, 0, QH_INVALID_NODE, "two tree links to an entry point");
	memory_free(&mem);

	/* 49 and its child 99 in a cycle of their own: each is the target of one tree link */
	make_tree(&mem, codes, N);
	qh_list_drop(memory_links(&mem, 24), 6, 49);
	memory_links(&mem, 99)[1] = 49 | QH_TREE_LINK;
	expect(&mem, QH_FAULT_TREE, 2, 99, QH_INVALID_NODE, "a cycle of tree links");
	ok(mem.nfaults[QH_FAULT_UNREACHABLE] == 0, "which ordinary links still lead to");
	memory_free(&mem);
}

static bool
is_98(void *ctx, QhNode node)
{
	(void) ctx;
	return node == 98;
}

/* 98 is dying, has left the tree and still links to 99, which was freed before it. */
static void
test_dying(const Code *codes)
{
	enum
	{
		N = 100
	};
	Memory		mem;
	Counted		counted;
	QhAlloc		alloc = counted_init(&counted);
	QhCheckInput input = {.nnodes = N, .in_use = memory_in_use, .nentries = 1, .ctx = &mem, .report = memory_report};

	make_tree(&mem, codes, N);
	input.entries = mem.entries;
	qh_list_drop(memory_links(&mem, 48), 6, 98);
	qh_list_drop(memory_links(&mem, 49), 6, 99);
	qh_list_drop(memory_links(&mem, 94), 6, 99);
	memory_links(&mem, 98)[0] = 99;
	mem.gone[99] = 1;
	ok(qh_check(&alloc, &mem.store, &input) == 2 && mem.nfaults[QH_FAULT_GONE] == 1 && mem.nfaults[QH_FAULT_TREE] == 1,
	   "a node outside of the tree with a link to a node not in use");
	input.is_dying = is_98;
	ok(qh_check(&alloc, &mem.store, &input) == 0, "is no fault while it is dying");
	memory_links(&mem, 97)[0] = 99;
	ok(qh_check(&alloc, &mem.store, &input) == 1, "but the link of another is");
	memory_free(&mem);
}

static void
test_entries(const Code *codes)
{
	enum
	{
		N = 100
	};
	Memory		mem;

	make_tree(&mem, codes, N);
	mem.entries[1] = N;
	mem.nentries = 2;
	expect(&mem, QH_FAULT_RANGE, 1, QH_INVALID_NODE, N, "entry point beyond the last node");
	mem.entries[1] = 0;
	expect(&mem, QH_FAULT_TWICE, 1, QH_INVALID_NODE, 0, "entry point listed twice");
	mem.entries[1] = 99;
	ok(memory_check(&mem) == 0, "any node may be an entry point");
	mem.gone[99] = 1;
	qh_list_drop(memory_links(&mem, 49), 6, 99);
	qh_list_drop(memory_links(&mem, 94), 6, 99);
	expect(&mem, QH_FAULT_GONE, 1, QH_INVALID_NODE, 99, "entry point not in use");
	mem.nentries = 0;
	memory_check(&mem);
	ok(mem.nfaults[QH_FAULT_UNREACHABLE] == N - 1, "without entry points nothing can be reached");
	memory_free(&mem);

	memory_init(&mem, codes, 0, 6);
	ok(memory_check(&mem) == 0, "a graph without nodes is sound");
	memory_free(&mem);
	memory_init(&mem, codes, 1, 6);
	mem.nentries = 1;
	ok(memory_check(&mem) == 0, "so is one node that is an entry point");
	memory_free(&mem);
}

/* More deferred nodes than the work list holds: they must be found again. */
static void
test_bounded_work(void)
{
	uint32_t	n = 300001;
	Memory		mem;
	Counted		counted;
	QhAlloc		alloc = counted_init(&counted);
	QhCheckInput input;

	memory_init(&mem, NULL, n, 400);
	for (QhNode i = 1; i < n; i++)
	{
		/* 1,000 nodes below the first (by way of three), 300 below each of them: breadth that overflows any stack */
		QhNode		parent = i <= 3 ? 0 : i <= 1000 ? (i - 4) / 333 + 1 : 4 + (i - 1001) / 300;
		QhLink	   *links = memory_links(&mem, parent);

		links[memory_nlinks(&mem, parent)] = i | QH_TREE_LINK;
	}
	mem.nentries = 1;
	input = (QhCheckInput) {.nnodes = n, .in_use = memory_in_use, .entries = mem.entries, .nentries = 1, .ctx = &mem,
	.report = memory_report, .progress = count_call};
	ok(qh_check(&alloc, &mem.store, &input) == 0, "a broad graph of %u nodes is sound", n);
	ok(counted.peak < 5 * (size_t) n / 8 + 300000 + 8 * 400, "checked in %zu bytes", counted.peak);
	ok(mem.nprefetches > n / 1024, "progress is called");
	memory_links(&mem, 1)[0] &= ~QH_TREE_LINK;
	mem.nfaults[QH_FAULT_TREE] = 0;
	ok(qh_check(&alloc, &mem.store, &input) == 301 && mem.nfaults[QH_FAULT_TREE] == 301,
	   "cutting one link of the tree shows in all below it");
	input.report = NULL;
	ok(qh_check(&alloc, &mem.store, &input) == 301, "faults are counted without a report, too");
	memory_free(&mem);
}

int
main(void)
{
	Code	   *codes = codes_clustered(100, 1);

	test_faults(codes);
	test_tree_faults(codes);
	test_dying(codes);
	test_entries(codes);
	test_bounded_work();
	free(codes);
	return done_testing();
}
