/*
 * test_graph_pack.c
 *		Packed link lists: what goes in comes out, what always fits, and bytes that are no list; graphs built of them.
 */
#include "graph/lists.h"
#include "graph_memory.h"

#define NBYTES_MAX 800

/* Words of random length, so that gaps of all sizes are met. */
static QhNode
random_node(uint64_t *random)
{
	return (QhNode) (check_random(random) >> (33 + check_random(random) % 31)) % QH_MAX_NODES;
}

/* n links to different nodes, near the owner or anywhere. */
static void
random_list(QhNode owner, QhLink *links, int n, uint64_t *random)
{
	for (int i = 0; i < n;)
	{
		QhNode		node = random_node(random);
		bool		known;

		if (check_random(random) % 2 == 0)
			node = node > owner ? node - owner : owner - node;
		known = node == owner;
		for (int j = 0; j < i && !known; j++)
			known = qh_link_node(links[j]) == node;
		if (!known)
			links[i++] = node | (check_random(random) % 4 == 0 ? QH_TREE_LINK : 0);
	}
}

/* Is each link of a in b? */
static bool
same_links(const QhLink *a, const QhLink *b, int n)
{
	for (int i = 0; i < n; i++)
	{
		int			at = qh_list_find(b, n, qh_link_node(a[i]));

		if (at < 0 || b[at] != a[i])
			return false;
	}
	return true;
}

static void
test_round_trips(void)
{
	uint64_t	random = 1;
	uint8_t		bytes[NBYTES_MAX + QH_PACK_PADDING];
	QhLink		links[QH_PACK_MAX];
	QhLink		back[QH_PACK_MAX];
	int			nwrong = 0;
	int			npacked = 0;

	for (int round = 0; round < 200000; round++)
	{
		QhNode		owner = random_node(&random);
		size_t		nbytes = 16 + check_random(&random) % 64;
		int			n = (int) (check_random(&random) % 33);
		bool		fits;

		memset(bytes, 0x55, sizeof(bytes));
		random_list(owner, links, n, &random);
		fits = qh_pack_links(owner, links, n, bytes, nbytes);
		npacked += fits;
		nwrong += fits != qh_pack_links(owner, links, n, NULL, nbytes);
		nwrong += !fits && n <= qh_pack_least(nbytes);
		nwrong += bytes[nbytes] != 0x55;
		if (fits)
			nwrong += qh_unpack_links(owner, bytes, nbytes, QH_PACK_MAX, back) != n || !same_links(links, back, n);
	}
	ok(nwrong == 0 && npacked > 50000, "lists come out as they went in (%d of 200,000 fitted)", npacked);
	random_list(7, links, QH_PACK_MAX, &random);
	ok(qh_pack_links(7, links, QH_PACK_MAX, bytes, NBYTES_MAX) && qh_unpack_links(7, bytes, NBYTES_MAX, QH_PACK_MAX, back) == QH_PACK_MAX &&
	   same_links(links, back, QH_PACK_MAX), "so does the longest there is");
	memset(bytes, 0, sizeof(bytes));
	ok(qh_unpack_links(5, bytes, 40, QH_PACK_MAX, back) == 0, "zeros are an empty list");
}

/* As far apart as ids can be. */
static void
test_least(void)
{
	uint8_t		bytes[NBYTES_MAX + QH_PACK_PADDING];
	int			nwrong = 0;

	for (size_t nbytes = 16; nbytes <= NBYTES_MAX; nbytes++)
	{
		int			n = qh_pack_least(nbytes);
		QhLink		links[QH_PACK_MAX];
		QhNode		owners[] = {0, QH_MAX_NODES, QH_MAX_NODES / 2, 1};

		if (n > QH_PACK_MAX)
			break;
		for (size_t o = 0; o < sizeof(owners) / sizeof(owners[0]); o++)
		{
			/* equal gaps, and gaps that double: what takes the most bits, and what one parameter suits worst */
			for (int i = 0; i < n; i++)
				links[i] = (QhLink) ((uint64_t) (QH_MAX_NODES - 2) * (uint64_t) (i + 1) / (uint64_t) (n + 1) + 1) | QH_TREE_LINK;
			if (o < 2)
				nwrong += !qh_pack_links(owners[o], links, n, bytes, nbytes);
			for (int i = 0; i < n; i++)
				links[i] = i < 28 ? QH_MAX_NODES - 1 - (UINT32_C(1) << (30 - i)) : (QhLink) i;
			nwrong += !qh_pack_links(owners[o], links, n, bytes, nbytes);
		}
	}
	ok(nwrong == 0, "as many links as are promised fit whatever their ids are");
	ok(qh_pack_least(16) == 3 && qh_pack_least(40) == 8, "and that many are 3 in 16 bytes, 8 in 40");
}

static void
test_no_lists(void)
{
	uint64_t	random = 3;
	/* what lies behind the padding is not to be read, whatever the bytes say */
	GuardedMemory mem = guarded_alloc(40 + QH_PACK_PADDING);
	uint8_t    *bytes = mem.end - 40 - QH_PACK_PADDING;
	QhLink		links[QH_PACK_MAX];
	int			nwrong = 0;
	int			nrefused = 0;
	QhLink		twice[] = {4, 9, 4};
	QhLink		self[] = {4, 7};

	for (int round = 0; round < 500000; round++)
	{
		QhNode		owner = random_node(&random);
		int			n;

		for (int i = 0; i < 40 + QH_PACK_PADDING; i++)
			bytes[i] = (uint8_t) check_random(&random);
		/* counts that would do, now and then */
		bytes[0] %= 20;
		bytes[1] %= 20;
		n = qh_unpack_links(owner, bytes, 40, 32, links);
		nrefused += n < 0;
		nwrong += n > 32;
		for (int i = 0; i < n; i++)
			nwrong += qh_link_node(links[i]) > QH_MAX_NODES || qh_link_node(links[i]) == owner;
	}
	ok(nwrong == 0 && nrefused > 1000, "noise is refused or a list in range (%d of 500,000 refused)", nrefused);
	ok(!qh_pack_links(5, twice, 3, NULL, 40) && !qh_pack_links(7, self, 2, NULL, 40), "two links to one node and one to itself are no list");
	guarded_free(&mem);
}

static void
test_fit(void)
{
	const QhHubs hubs = {.period = 1000, .count = 10, .low_nbytes = 16};
	uint64_t	random = 5;
	int			nwrong = 0;

	for (int round = 0; round < 20000; round++)
	{
		QhNode		owner = 10 + (QhNode) (check_random(&random) % 900);
		QhLink		links[40];
		QhLink		left[40];
		int			ntree = 0;
		int			n;

		random_list(owner, links, 40, &random);
		for (int i = 0; i < 40; i++)
		{
			if ((links[i] & QH_TREE_LINK) && ++ntree > qh_room(&hubs, 32, owner))
				links[i] &= ~QH_TREE_LINK;
		}
		memcpy(left, links, sizeof(links));
		n = qh_fit_links(&hubs, 32, owner, left, 40);
		nwrong += n > 32 || !qh_links_fit(&hubs, 32, owner, left, n);
		for (int i = 0; i < 40; i++)
			if (links[i] & QH_TREE_LINK)
				nwrong += !qh_list_has_tree(left, n, qh_link_node(links[i]));
	}
	ok(nwrong == 0, "what is left fits, and all tree links are in it");
	ok(qh_is_hub(&hubs, 9) && !qh_is_hub(&hubs, 10) && qh_is_hub(&hubs, 7003) && qh_room(&hubs, 32, 9) == 32 && qh_room(&hubs, 32, 10) == 3,
	   "the first ids of each period are hubs");
}

/* As many links of owner, near it or anywhere among n nodes, as there is room for, or the next one. */
static int
fill_list(const QhHubs *hubs, QhNode owner, uint32_t n, QhLink *links, uint64_t *random)
{
	int			count = 0;

	while (count < 32)
	{
		uint32_t	near = (uint32_t) check_random(random) % (UINT32_C(8) << check_random(random) % 8);
		QhNode		node = check_random(random) % 4 == 0 ? (QhNode) (check_random(random) % n) : (owner + near + n - 64) % n;

		if (node == owner || qh_list_find(links, count, node) >= 0)
			continue;
		links[count] = node;
		if (!qh_links_fit(hubs, 32, owner, links, count + 1))
			break;
		count++;
	}
	qh_list_end(links, 32, count);
	return count;
}

/*
 * A dead node without children leaves its parent's list.  What is left of a list that fitted takes more bits now and then,
 * for the parameter of its code is not the best there is.
 */
static void
test_splice(void)
{
	const QhHubs hubs = {.period = 1000, .count = 10, .low_nbytes = 32};
	const uint32_t n = 5000;
	Code	   *codes = codes_clustered(n, 1);
	Counted		counted;
	QhAlloc		alloc = counted_init(&counted);
	Memory		mem;
	uint64_t	random = 6;
	QhLink		lists[2 * QH_MAX_SPLICE_CHANGES][32];
	QhLinkChange changes[QH_MAX_SPLICE_CHANGES] = {{0, lists[0], lists[1]}, {0, lists[2], lists[3]}};
	int			nmisfits = 0;
	int			nlonger = 0;

	memory_init(&mem, codes, n, 32);
	mem.store.hubs = hubs;
	for (int round = 0; round < 20000; round++)
	{
		QhNode		owner = 10 + (QhNode) (check_random(&random) % 900);
		QhLink	   *links = memory_links(&mem, owner);
		int			count = fill_list(&hubs, owner, n, links, &random);
		QhNode		dead = links[check_random(&random) % (uint64_t) count];
		QhNode		heir = QH_INVALID_NODE;
		QhLink		rest[32];

		links[qh_list_find(links, 32, dead)] |= QH_TREE_LINK;
		memcpy(rest, links, sizeof(rest));
		qh_list_drop(rest, 32, dead);
		nlonger += !qh_links_fit(&hubs, 32, owner, rest, count - 1);
		nmisfits += qh_plan_splice(&alloc, &mem.store, owner, dead, changes, &heir) != 1 || changes[0].node != owner ||
			!qh_links_fit(&hubs, 32, owner, lists[1], qh_list_count(lists[1], 32)) ||
			qh_list_find(lists[1], 32, dead) >= 0 || qh_list_count(lists[1], 32) < count - 2;
		qh_list_end(links, 32, 0);
	}
	ok(nlonger > 0 && nmisfits == 0, "a list fits without a dead node too (%d of 20,000 took more bits)", nlonger);
	memory_free(&mem);
	free(codes);
}

/* A built graph whose nodes are given the ids they will have. */
static void
test_build(uint32_t n, uint32_t low_nbytes, double wanted)
{
	Code	   *codes = codes_clustered(n, 1);
	Code	   *by_id = malloc(((size_t) n + 1) * sizeof(Code));
	uint32_t   *rank = malloc(((size_t) n + 1) * sizeof(uint32_t));
	Counted		counted;
	QhAlloc		alloc = counted_init(&counted);
	QhSpace		space = space_of(codes, n);
	QhBuildParams params = {.m = 16, .ef_construction = 64, .seed = 11, .max_entries = 1000, .hubs = {.period = 900, .count = 18, .low_nbytes = low_nbytes}};
	QhGraph    *graph = qh_build(&alloc, &space, &params);
	Memory		mem;
	int			nmisfits = 0;
	uint64_t	nlinks[2] = {0, 0};
	uint32_t	nhubs = 0;
	double		recall;

	for (uint32_t i = 0; i < n; i++)
	{
		rank[graph->order[i]] = i;
		by_id[i] = codes[graph->order[i]];
	}
	memory_init(&mem, by_id, n, 32);
	mem.store.hubs = params.hubs;
	for (uint32_t i = 0; i < n; i++)
	{
		QhLink	   *links = memory_links(&mem, i);
		int			count = qh_list_count(graph->links + (size_t) graph->order[i] * 32, 32);

		for (int j = 0; j < count; j++)
		{
			QhLink		link = graph->links[(size_t) graph->order[i] * 32 + (size_t) j];

			links[j] = rank[qh_link_node(link)] | (link & QH_TREE_LINK);
		}
		nmisfits += !qh_links_fit(&params.hubs, 32, i, links, count);
		nmisfits += qh_list_count_tree(links, 32) > qh_room(&params.hubs, 32, i) / 2;
		nhubs += qh_is_hub(&params.hubs, i);
		nlinks[qh_is_hub(&params.hubs, i)] += (uint64_t) count;
	}
	for (int i = 0; i < graph->nentries; i++)
		mem.entries[mem.nentries++] = rank[graph->entries[i]];
	ok(nmisfits == 0, "%u nodes, %u bytes: every list fits, and no more than half of its room are children", n, low_nbytes);
	ok(memory_check(&mem) == 0, "%u nodes, %u bytes: sound", n, low_nbytes);
	ok(n < 1000 || nlinks[1] * (n - nhubs) > nlinks[0] * nhubs, "hubs have more links than others");
	recall = memory_recall(&mem, 100, 200, 99);
	ok(recall >= wanted, "recall %.3f at ef 100", recall);
	memory_free(&mem);
	qh_graph_free(&alloc, graph);
	ok(counted.held == 0, "gives all memory back");
	free(rank);
	free(by_id);
	free(codes);
}

int
main(void)
{
	test_round_trips();
	test_least();
	test_no_lists();
	test_fit();
	test_splice();
	test_build(1, 40, 1.0);
	test_build(15, 40, 1.0);
	test_build(901, 40, 0.97);
	test_build(5000, 40, 0.97);
	test_build(20000, 40, 0.97);
	test_build(20000, 16, 0.60);
	return done_testing();
}
