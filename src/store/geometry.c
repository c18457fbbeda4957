/*
 * geometry.c
 *		Where a node's slots are: choosing and laying out groups of pages.
 *
 * Must not know buffers or WAL.  See FORMAT.md, section "Groups".
 */
#include "postgres.h"

#include <math.h>

#include "port/pg_bitutils.h"
#include "store/geometry.h"

/*
 * A group is taken once its size is within half a per cent of the best of all up
 * to 64 pages: larger ones gain nothing, and the page tables stay in one or two
 * cache lines.  Chosen by hand.
 */
#define GROUP_PAGES_WANTED	64
#define GROUP_SLACK			1.005

/*
 * With records groups may be larger, and nearer to the best: a page of them holds up to 5,900
 * slots, and one that a group fills only in part costs more a row than what it holds.
 * doc/decisions/0230.
 */
#define GROUP_PAGES_OF_RECORDS QH_MAX_GROUP_PAGES
#define GROUP_SLACK_OF_RECORDS 1.0005

/* Slots begin on a cache line where that costs none of them. */
#define CACHE_LINE			64

static QhDivisor
divisor_of(uint32 n)
{
	QhDivisor	divisor;

	divisor.shift = 31 + pg_ceil_log2_32(n);
	divisor.factor = (UINT64CONST(1) << divisor.shift) / n + 1;
	return divisor;
}

/* The sizes in meta have no fault. */
static void
slot_sizes(QhGeometry *geo, const QhMetaData *meta)
{
	(void) qh_meta_filter_layout(meta, &geo->filter);
	geo->slot_nbytes[QH_ARRAY_ROW] = sizeof(QhRowData);
	geo->slot_nbytes[QH_ARRAY_LINK] = qh_meta_link_nbytes(meta);
	geo->slot_nbytes[QH_ARRAY_HUB] = meta->hub_fraction > 0 ? qh_meta_hub_nbytes(meta) : 0;
	geo->slot_nbytes[QH_ARRAY_CODE] = meta->code_nbytes;
	geo->slot_nbytes[QH_ARRAY_REFINE] = meta->refine_nbytes;
	geo->slot_nbytes[QH_ARRAY_FILTER] = meta->filter_nbytes;

	for (int a = 0; a < QH_NARRAYS; a++)
	{
		/* a slot with links has its state byte behind the slots */
		uint32		nbytes = geo->slot_nbytes[a] + (a == QH_ARRAY_LINK || a == QH_ARRAY_HUB ? 1 : 0);
		uint32		lined = CACHE_LINE - SizeOfPageHeaderData;

		geo->data_offset[a] = SizeOfPageHeaderData;
		if (geo->slot_nbytes[a] == 0)
		{
			geo->page_nslots[a] = 0;
			continue;
		}
		if (a == QH_ARRAY_FILTER)
		{
			geo->page_nslots[a] = geo->filter.page_nslots;
			continue;
		}
		geo->page_nslots[a] = QH_PAGE_NBYTES / nbytes;
		if ((QH_PAGE_NBYTES - lined) / nbytes == geo->page_nslots[a])
			geo->data_offset[a] = CACHE_LINE;
		geo->state_offset[a] = geo->data_offset[a] + geo->page_nslots[a] * geo->slot_nbytes[a];
	}
}

/* The slots of a group that an array holds end here, of nslots. */
static uint32
array_end(QhArray array, uint32 nslots, uint32 nhubs)
{
	return array == QH_ARRAY_HUB ? nhubs : nslots;
}

/* Slots of a group that an array holds begin here. */
static uint32
array_begin(QhArray array, uint32 nhubs)
{
	return array == QH_ARRAY_LINK ? nhubs : 0;
}

/* Hubs among nslots nodes, where there are any at all. */
static uint32
count_hubs(const QhMetaData *meta, uint32 nslots)
{
	return meta->hub_fraction > 0 ? Max((uint32) rint(nslots * meta->hub_fraction), 1) : 0;
}

/* Pages that nslots slots, nhubs of them hubs, take. */
static uint32
count_pages(const QhGeometry *geo, uint32 nslots, uint32 nhubs)
{
	uint32		npages = 0;

	for (int a = 0; a < QH_NARRAYS; a++)
	{
		if (geo->slot_nbytes[a] == 0)
			continue;
		npages += (array_end(a, nslots, nhubs) - array_begin(a, nhubs) + geo->page_nslots[a] - 1) /
			geo->page_nslots[a];
	}
	return npages;
}

const char *
qh_geometry_fault(const QhMetaData *meta)
{
	QhFilterLayout layout;

	if (meta->m < QH_MIN_M || meta->m > QH_MAX_M)
		return "m is out of range";
	if (meta->code_nbytes > QH_PAGE_NBYTES || meta->refine_nbytes > QH_PAGE_NBYTES)
		return "a slot does not fit a page";
	if (meta->hub_fraction != 0 &&
		(!(meta->hub_fraction > 0 && meta->hub_fraction < 1) ||
		 meta->m_low < QH_MIN_M_LOW || meta->m_low > 2 * meta->m))
		return "sizes of link slots are out of range";
	return qh_meta_filter_layout(meta, &layout);
}

void
qh_geometry_choose(QhMeta meta)
{
	QhGeometry	geo;
	uint32		max_npages = meta->filter_nbytes > 0 ? GROUP_PAGES_OF_RECORDS : GROUP_PAGES_WANTED;
	double		slack = meta->filter_nbytes > 0 ? GROUP_SLACK_OF_RECORDS : GROUP_SLACK;
	uint32		max_nslots = 0;
	double		best = 0;

	if (qh_geometry_fault(meta) != NULL)
		elog(ERROR, "cannot lay out an index: %s", qh_geometry_fault(meta));
	slot_sizes(&geo, meta);
	for (int a = 0; a < QH_NARRAYS; a++)
		max_nslots = Max(max_nslots, geo.page_nslots[a]);
	/* a page of hubs is to be as full as the others, and so is one of records */
	if (meta->hub_fraction > 0 || meta->filter_nbytes > 0)
		max_nslots = QH_PAGE_NBYTES;

	/* first round: the best there is; second: the smallest nearly as good */
	for (int round = 0; round < 2; round++)
	{
		for (uint32 nslots = 1; nslots <= max_nslots; nslots++)
		{
			uint32		nhubs = count_hubs(meta, nslots);
			uint32		npages = count_pages(&geo, nslots, nhubs);
			double		density = (double) nslots / npages;

			if (npages > max_npages && nslots > 1)
				break;
			if (round == 0)
				best = Max(best, density);
			else if (density * slack >= best)
			{
				meta->group_nslots = nslots;
				meta->group_npages = npages;
				meta->group_nhubs = nhubs;
				return;
			}
		}
	}
	elog(ERROR, "no group of pages fits the slot sizes of the index");
}

const char *
qh_geometry_init(QhGeometry *geo, const QhMetaData *meta)
{
	uint32		next[QH_NARRAYS] = {0};
	const char *fault = qh_geometry_fault(meta);

	memset(geo, 0, sizeof(*geo));
	if (fault != NULL)
		return fault;
	if (meta->code_nbytes == 0)
		return "there are no codes";
	slot_sizes(geo, meta);
	if (meta->group_nslots == 0 || meta->group_npages == 0 ||
		meta->group_npages > QH_MAX_GROUP_PAGES ||
		meta->group_nslots > QH_PAGE_NBYTES ||
		(meta->hub_fraction > 0) != (meta->group_nhubs > 0) || meta->group_nhubs > meta->group_nslots ||
		meta->group_npages != count_pages(geo, meta->group_nslots, meta->group_nhubs))
		return "group size does not match the slot sizes";
	if (meta->nparam_pages != 0 && meta->nparam_pages != qh_meta_param_pages(meta))
		return "number of centroid pages does not match the centres";

	geo->first_blkno = QH_FIRST_PARAM_BLKNO + meta->nparam_pages;
	geo->group_nslots = meta->group_nslots;
	geo->group_npages = meta->group_npages;
	geo->group_nhubs = meta->group_nhubs;
	geo->by_group_nslots = divisor_of(meta->group_nslots);
	for (int a = 0; a < QH_NARRAYS; a++)
	{
		geo->begin[a] = array_begin(a, meta->group_nhubs);
		if (geo->slot_nbytes[a] > 0)
			geo->by_page_nslots[a] = divisor_of(geo->page_nslots[a]);
	}

	/* pages of a group in the order of their first slot, so that a group grows page by page */
	for (uint32 p = 0; p < geo->group_npages; p++)
	{
		int			chosen = -1;
		uint32		chosen_first = 0;

		for (int a = 0; a < QH_NARRAYS; a++)
		{
			uint32		first = geo->begin[a] + next[a] * geo->page_nslots[a];

			if (geo->slot_nbytes[a] == 0 || first >= array_end(a, geo->group_nslots, geo->group_nhubs))
				continue;
			if (chosen < 0 || first < chosen_first)
			{
				chosen = a;
				chosen_first = first;
			}
		}
		Assert(chosen >= 0);
		geo->kind[p] = chosen;
		geo->first[p] = chosen_first;
		geo->where[chosen][next[chosen]++] = p;
	}
	for (int a = 0; a < QH_NARRAYS; a++)
		geo->npages[a] = next[a];
	return NULL;
}

QhHubs
qh_meta_hubs(const QhMetaData *meta)
{
	QhHubs		hubs = {0};

	if (meta->group_nhubs > 0)
		hubs = (QhHubs) {meta->group_nslots, meta->group_nhubs, qh_meta_link_nbytes(meta)};
	return hubs;
}

uint32
qh_geometry_nslots(const QhGeometry *geo, BlockNumber nblocks)
{
	uint32		groups;
	uint32		rest;
	uint64		nslots;

	if (nblocks <= geo->first_blkno)
		return 0;
	groups = (nblocks - geo->first_blkno) / geo->group_npages;
	rest = (nblocks - geo->first_blkno) % geo->group_npages;
	nslots = (uint64) groups * geo->group_nslots + geo->first[rest];
	return (uint32) Min(nslots, (uint64) PG_INT32_MAX - 1);
}

BlockNumber
qh_geometry_nblocks(const QhGeometry *geo, uint32 nslots)
{
	uint32		groups = nslots / geo->group_nslots;
	uint32		rest = nslots % geo->group_nslots;
	uint32		npages = 0;

	while (rest > 0 && npages < geo->group_npages && geo->first[npages] < rest)
		npages++;
	return geo->first_blkno + groups * geo->group_npages + npages;
}

QhArray
qh_geometry_block(const QhGeometry *geo, BlockNumber blkno, uint32 *group, uint32 *first_slot)
{
	uint32		page = (blkno - geo->first_blkno) % geo->group_npages;

	*group = (blkno - geo->first_blkno) / geo->group_npages;
	*first_slot = *group * geo->group_nslots + geo->first[page];
	return (QhArray) geo->kind[page];
}

uint32
qh_geometry_page_nslots(const QhGeometry *geo, BlockNumber blkno)
{
	uint32		page = (blkno - geo->first_blkno) % geo->group_npages;

	return Min(geo->page_nslots[geo->kind[page]],
			   array_end(geo->kind[page], geo->group_nslots, geo->group_nhubs) - geo->first[page]);
}
