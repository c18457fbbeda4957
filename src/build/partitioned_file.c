/*
 * partitioned_file.c
 *		Temporary files of a build: streams of bytes, many to a file.
 *
 * A file is a sequence of chunks of one size, and behind them the directory: which part each
 * belongs to and how much of it is used.  See README.md, section "Build".
 */
#include "postgres.h"

#include <fcntl.h>

#include "build/partitioned_file.h"
#include "miscadmin.h"
#include "storage/buffile.h"
#include "utils/memutils.h"

typedef struct Chunk
{
	uint32		part;
	uint32		nbytes;			/* used */
} Chunk;

typedef struct Directory
{
	BufFile    *file;			/* NULL where the participant has written nothing */
	Chunk	   *chunks;
	uint64		nchunks;
} Directory;

struct QhSpool
{
	MemoryContext cxt;
	QhSpoolers	spoolers;
	int			id;
	uint32		nparts;
	Size		chunk_nbytes;
	uint64	   *nchunks;		/* shared */

	/* writing */
	Directory	own;
	uint64		max_chunks;
	uint8	  **buffers;		/* of each part, NULL while nothing waits */
	uint32	   *nbuffered;

	/* reading */
	Directory  *dirs;			/* of all participants; NULL until somebody reads */
	uint32		part;
	int			participant;
	uint64		next;			/* chunk of that participant to look at */
	uint8	   *chunk;
	bool		chunk_read;		/* it is in memory */
	Size		chunk_at;
	Size		chunk_end;
};

static void
file_name(const QhSpool *spool, int participant, char *name)
{
	snprintf(name, MAXPGPATH, "qhnsw-%d-%d", spool->id, participant);
}

QhSpool *
qh_spool_create(MemoryContext cxt, const QhSpoolers *spoolers, int id, uint32 nparts, Size chunk_nbytes, uint64 *nchunks)
{
	QhSpool    *spool = MemoryContextAllocZero(cxt, sizeof(QhSpool));

	Assert(chunk_nbytes % BLCKSZ == 0);
	Assert(spoolers->self < spoolers->n);
	spool->cxt = cxt;
	spool->spoolers = *spoolers;
	spool->id = id;
	spool->nparts = nparts;
	spool->chunk_nbytes = chunk_nbytes;
	spool->nchunks = nchunks;
	return spool;
}

/* ---- writing ---- */

static void
begin_writing(QhSpool *spool)
{
	MemoryContext old = MemoryContextSwitchTo(spool->cxt);
	char		name[MAXPGPATH];

	file_name(spool, spool->spoolers.self, name);
	if (spool->spoolers.fileset != NULL)
		spool->own.file = BufFileCreateFileSet(&spool->spoolers.fileset->fs, name);
	else
		spool->own.file = BufFileCreateTemp(false);
	spool->buffers = palloc0(sizeof(uint8 *) * spool->nparts);
	spool->nbuffered = palloc0(sizeof(uint32) * spool->nparts);
	spool->max_chunks = 64;
	spool->own.chunks = palloc(sizeof(Chunk) * spool->max_chunks);
	MemoryContextSwitchTo(old);
}

static void
write_chunk(QhSpool *spool, uint32 part)
{
	Directory  *own = &spool->own;

	CHECK_FOR_INTERRUPTS();
	if (own->nchunks == spool->max_chunks)
	{
		spool->max_chunks *= 2;
		own->chunks = repalloc_huge(own->chunks, sizeof(Chunk) * spool->max_chunks);
	}
	own->chunks[own->nchunks].part = part;
	own->chunks[own->nchunks].nbytes = spool->nbuffered[part];
	own->nchunks++;
	BufFileWrite(own->file, spool->buffers[part], spool->chunk_nbytes);
	spool->nbuffered[part] = 0;
}

void
qh_spool_put(QhSpool *spool, uint32 part, const void *data, Size nbytes)
{
	const uint8 *from = data;

	Assert(part < spool->nparts);
	if (spool->own.file == NULL)
		begin_writing(spool);
	while (nbytes > 0)
	{
		Size		fits = Min(nbytes, spool->chunk_nbytes - spool->nbuffered[part]);

		/* zeroed: what is left of a chunk that does not fill goes to the file too */
		if (spool->buffers[part] == NULL)
			spool->buffers[part] = MemoryContextAllocZero(spool->cxt, spool->chunk_nbytes);
		memcpy(spool->buffers[part] + spool->nbuffered[part], from, fits);
		spool->nbuffered[part] += fits;
		from += fits;
		nbytes -= fits;
		if (spool->nbuffered[part] == spool->chunk_nbytes)
			write_chunk(spool, part);
	}
}

void
qh_spool_end_part(QhSpool *spool, uint32 part)
{
	if (spool->own.file == NULL || spool->buffers[part] == NULL)
		return;
	if (spool->nbuffered[part] > 0)
		write_chunk(spool, part);
	pfree(spool->buffers[part]);
	spool->buffers[part] = NULL;
}

void
qh_spool_finish(QhSpool *spool)
{
	Directory  *own = &spool->own;

	if (own->file == NULL)
		return;
	for (uint32 part = 0; part < spool->nparts; part++)
		qh_spool_end_part(spool, part);
	pfree(spool->buffers);
	pfree(spool->nbuffered);
	spool->buffers = NULL;
	spool->nbuffered = NULL;
	spool->nchunks[spool->spoolers.self] = own->nchunks;
	if (spool->spoolers.fileset != NULL)
	{
		BufFileWrite(own->file, own->chunks, sizeof(Chunk) * own->nchunks);
		BufFileExportFileSet(own->file);
		BufFileClose(own->file);
		own->file = NULL;
		pfree(own->chunks);
		own->chunks = NULL;
	}
}

/* ---- reading ---- */

static void
read_exactly(BufFile *file, void *data, Size nbytes)
{
	if (BufFileRead(file, data, nbytes) != nbytes)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not read temporary file of an index build: %m")));
}

static void
seek_chunk(QhSpool *spool, BufFile *file, uint64 chunk)
{
	if (BufFileSeekBlock(file, chunk * (spool->chunk_nbytes / BLCKSZ)) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not seek in temporary file of an index build")));
}

static void
open_directory(QhSpool *spool, int participant)
{
	Directory  *dir = &spool->dirs[participant];
	char		name[MAXPGPATH];

	dir->nchunks = spool->nchunks[participant];
	if (dir->nchunks == 0)
		return;
	if (spool->spoolers.fileset == NULL)
	{
		*dir = spool->own;
		return;
	}
	file_name(spool, participant, name);
	dir->file = BufFileOpenFileSet(&spool->spoolers.fileset->fs, name, O_RDONLY, false);
	dir->chunks = MemoryContextAllocHuge(spool->cxt, sizeof(Chunk) * dir->nchunks);
	seek_chunk(spool, dir->file, dir->nchunks);
	read_exactly(dir->file, dir->chunks, sizeof(Chunk) * dir->nchunks);
}

static void
begin_reading(QhSpool *spool)
{
	MemoryContext old;

	if (spool->dirs != NULL)
		return;
	old = MemoryContextSwitchTo(spool->cxt);
	spool->dirs = palloc0(sizeof(Directory) * spool->spoolers.n);
	spool->chunk = palloc(spool->chunk_nbytes);
	for (int i = 0; i < spool->spoolers.n; i++)
		open_directory(spool, i);
	MemoryContextSwitchTo(old);
}

uint64
qh_spool_part_nbytes(QhSpool *spool, uint32 part)
{
	uint64		nbytes = 0;

	begin_reading(spool);
	for (int i = 0; i < spool->spoolers.n; i++)
		for (uint64 j = 0; j < spool->dirs[i].nchunks; j++)
			if (spool->dirs[i].chunks[j].part == part)
				nbytes += spool->dirs[i].chunks[j].nbytes;
	return nbytes;
}

void
qh_spool_rewind(QhSpool *spool, uint32 part)
{
	begin_reading(spool);
	spool->part = part;
	spool->participant = 0;
	spool->next = 0;
	spool->chunk_at = spool->chunk_end = 0;
}

/* Go to the part's next chunk; false if there is none. */
static bool
next_chunk(QhSpool *spool)
{
	for (; spool->participant < spool->spoolers.n; spool->participant++, spool->next = 0)
	{
		Directory  *dir = &spool->dirs[spool->participant];

		while (spool->next < dir->nchunks && dir->chunks[spool->next].part != spool->part)
			spool->next++;
		if (spool->next == dir->nchunks)
			continue;
		spool->chunk_at = 0;
		spool->chunk_end = dir->chunks[spool->next++].nbytes;
		spool->chunk_read = false;
		return true;
	}
	return false;
}

static void
read_chunk(QhSpool *spool)
{
	BufFile    *file = spool->dirs[spool->participant].file;

	CHECK_FOR_INTERRUPTS();
	Assert(spool->chunk_end <= spool->chunk_nbytes);
	seek_chunk(spool, file, spool->next - 1);
	read_exactly(file, spool->chunk, spool->chunk_end);
	spool->chunk_read = true;
}

void
qh_spool_skip(QhSpool *spool, uint64 nbytes)
{
	while (nbytes > spool->chunk_end - spool->chunk_at)
	{
		nbytes -= spool->chunk_end - spool->chunk_at;
		if (!next_chunk(spool))
			elog(ERROR, "temporary file of an index build is cut off");
	}
	spool->chunk_at += nbytes;
}

bool
qh_spool_get(QhSpool *spool, void *data, Size nbytes)
{
	uint8	   *out = data;
	Size		left = nbytes;

	while (left > 0)
	{
		Size		fits = Min(left, spool->chunk_end - spool->chunk_at);

		if (fits == 0)
		{
			if (next_chunk(spool))
				continue;
			if (left < nbytes)
				elog(ERROR, "temporary file of an index build is cut off");
			return false;
		}
		if (!spool->chunk_read)
			read_chunk(spool);
		memcpy(out, spool->chunk + spool->chunk_at, fits);
		spool->chunk_at += fits;
		out += fits;
		left -= fits;
	}
	return true;
}

void
qh_spool_get_rest(QhSpool *spool, void *data, Size nbytes)
{
	if (!qh_spool_get(spool, data, nbytes))
		elog(ERROR, "temporary file of an index build is cut off");
}

/* ---- the end ---- */

void
qh_spool_close(QhSpool *spool)
{
	if (spool->dirs == NULL)
		return;
	if (spool->spoolers.fileset != NULL)
	{
		for (int i = 0; i < spool->spoolers.n; i++)
		{
			if (spool->dirs[i].file == NULL)
				continue;
			BufFileClose(spool->dirs[i].file);
			pfree(spool->dirs[i].chunks);
		}
	}
	pfree(spool->dirs);
	pfree(spool->chunk);
	spool->dirs = NULL;
}

void
qh_spool_delete(QhSpool *spool)
{
	char		name[MAXPGPATH];

	if (spool->spoolers.fileset == NULL)
	{
		if (spool->own.file != NULL)
		{
			BufFileClose(spool->own.file);
			pfree(spool->own.chunks);
		}
		spool->own.file = NULL;
		return;
	}
	for (int i = 0; i < spool->spoolers.n; i++)
	{
		if (spool->nchunks[i] == 0)
			continue;
		file_name(spool, i, name);
		BufFileDeleteFileSet(&spool->spoolers.fileset->fs, name, false);
	}
}
