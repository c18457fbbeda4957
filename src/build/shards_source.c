/*
 * shards_source.c
 *		The step "write": content of slots out of the files of all shards.
 *
 * Must not know pages.  See README.md, section "Pages and WAL".
 */
#include "postgres.h"

#include "build/shards_state.h"
#include "utils/memutils.h"

/* Records of one size in a partfile, a part a shard, by the ids of what they are about. */
typedef struct Stream
{
	QhPartFile *partfile;
	const QhNode *bases;		/* first id of each shard */
	Size		nbytes;			/* of a record */
	uint32		shard;
	QhNode		next;			/* id of the record that would be read next */
} Stream;

typedef struct ShardsSource
{
	QhSource	source;			/* first: the function casts */
	const QhNode *posting_bases;
	Stream		slots;
	Stream		codes;
	Stream		refine;
	Stream		links;
	Stream		postings;
	Stream		records;
	int			max_degree;
} ShardsSource;

static Stream
open_stream(QhPartFile *partfile, const QhNode *bases, Size nbytes)
{
	return (Stream) {partfile, bases, nbytes, 0, QH_INVALID_NODE};
}

/* Read the record of an id, fastest if it follows the last one read. */
static void
stream_get(Stream *stream, QhNode id, void *record)
{
	if (id != stream->next || id >= stream->bases[stream->shard + 1])
	{
		if (id < stream->next)
			stream->shard = 0;
		while (id >= stream->bases[stream->shard + 1])
			stream->shard++;
		qh_partfile_rewind(stream->partfile, stream->shard);
		qh_partfile_skip(stream->partfile, (id - stream->bases[stream->shard]) * (uint64) stream->nbytes);
	}
	qh_partfile_get_rest(stream->partfile, record, stream->nbytes);
	stream->next = id + 1;
}

static int
links_from_shards(QhSource *source, uint32 id, QhLink *links)
{
	ShardsSource *from = (ShardsSource *) source;
	int			n = 0;

	stream_get(&from->links, id, links);
	while (n < from->max_degree && links[n] != QH_INVALID_NODE)
		n++;
	return n;
}

static void
posting_from_shards(QhSource *source, uint32 id, uint8 *slot)
{
	ShardsSource *from = (ShardsSource *) source;
	QhPosting	posting = (QhPosting) slot;

	stream_get(&from->postings, id, slot);
	if (posting->next != QH_INVALID_NODE)
		posting->next += from->posting_bases[from->postings.shard];
}

static bool
record_from_shards(QhSource *source, uint32 id, uint8 *record)
{
	ShardsSource *from = (ShardsSource *) source;
	uint8		sent[sizeof(QhSentRecord) + QH_MAX_RECORD_NBYTES];

	stream_get(&from->records, id, sent);
	memcpy(record, sent + sizeof(QhSentRecord), from->records.nbytes - sizeof(QhSentRecord));
	return ((QhSentRecord *) sent)->single;
}

static void
fill_row(ShardsSource *source, uint32 id, uint8 *slot)
{
	QhRowData	row;

	stream_get(&source->slots, id, &row);
	if (row.flags == QH_ROW_POSTING)
		row = qh_row_posting(qh_row_head(row) + source->posting_bases[source->slots.shard]);
	memcpy(slot, &row, sizeof(row));
}

static void
fill_from_shards(QhSource *source, QhArray array, uint32 id, uint8 *slot)
{
	ShardsSource *from = (ShardsSource *) source;

	if (array == QH_ARRAY_ROW)
		fill_row(from, id, slot);
	else
		stream_get(array == QH_ARRAY_CODE ? &from->codes : &from->refine, id, slot);
}

QhSource *
qh_shards_source(const QhBuild *build)
{
	const QhShards *shards = build->shards;
	const QhMetaData *meta = &build->meta;
	ShardsSource *source = MemoryContextAlloc(shards->cxt, sizeof(ShardsSource));

	*source = (ShardsSource) {
		.source = {
			.nnodes = shards->bases[qh_shards_count(shards->shared)],
			.fill = fill_from_shards, .links = links_from_shards, .posting = posting_from_shards,
			.record = record_from_shards
		},
		.posting_bases = shards->posting_bases,
		.slots = open_stream(shards->files[QH_FILE_SLOTS], shards->bases, sizeof(QhRowData)),
		.codes = open_stream(shards->files[QH_FILE_CODES], shards->bases, meta->code_nbytes),
		.refine = open_stream(shards->files[QH_FILE_REFINE], shards->bases, meta->refine_nbytes),
		.links = open_stream(shards->files[QH_FILE_GRAPH], shards->bases, sizeof(QhLink) * 2 * meta->m),
		.postings = open_stream(shards->files[QH_FILE_POSTINGS], shards->posting_bases, qh_meta_link_nbytes(meta)),
		.records = open_stream(shards->files[QH_FILE_RECORDS], shards->bases, sizeof(QhSentRecord) + meta->filter_nbytes),
		.max_degree = 2 * meta->m
	};
	return &source->source;
}
