/*
 * partitioned_file.c
 *		Partitioned temporary files of a build: many streams of bytes in one file.
 *
 * A file is a sequence of chunks of one size, and behind them the directory: which part each chunk
 * belongs to, and how much of it is used.  Must not know what the bytes mean.  See README.md,
 * section "Partitioned temporary files".
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

struct QhPartFile
{
	MemoryContext cxt;
	QhPartFileWriters writers;
	int			id;
	uint32		nparts;
	Size		chunk_nbytes;
	uint64	   *nchunks;		/* shared */

	/* writing */
	Directory	own;
	uint64		max_chunks;
	uint8	  **buffers;		/* chunk being filled of each part, or NULL */
	uint32	   *nbuffered;

	/* reading */
	Directory  *dirs;			/* of all participants; NULL before the first read */
	uint32		part;
	int			participant;
	uint64		next;			/* chunk of that participant to look at */
	uint8	   *chunk;
	bool		chunk_read;		/* chunk has the content of the one before next */
	Size		chunk_at;
	Size		chunk_end;
};

static void
file_name(const QhPartFile *partfile, int participant, char *name)
{
	snprintf(name, MAXPGPATH, "qhnsw-%d-%d", partfile->id, participant);
}

QhPartFile *
qh_partfile_create(MemoryContext cxt, const QhPartFileWriters *writers, int id, uint32 nparts,
				   Size chunk_nbytes, uint64 *nchunks)
{
	QhPartFile *partfile = MemoryContextAllocZero(cxt, sizeof(QhPartFile));

	Assert(chunk_nbytes % BLCKSZ == 0);
	Assert(writers->self < writers->n);
	partfile->cxt = cxt;
	partfile->writers = *writers;
	partfile->id = id;
	partfile->nparts = nparts;
	partfile->chunk_nbytes = chunk_nbytes;
	partfile->nchunks = nchunks;
	return partfile;
}

/* ---- writing ---- */

static void
begin_writing(QhPartFile *partfile)
{
	MemoryContext old = MemoryContextSwitchTo(partfile->cxt);
	char		name[MAXPGPATH];

	file_name(partfile, partfile->writers.self, name);
	if (partfile->writers.fileset != NULL)
		partfile->own.file = BufFileCreateFileSet(&partfile->writers.fileset->fs, name);
	else
		partfile->own.file = BufFileCreateTemp(false);
	partfile->buffers = palloc0(sizeof(uint8 *) * partfile->nparts);
	partfile->nbuffered = palloc0(sizeof(uint32) * partfile->nparts);
	partfile->max_chunks = 64;
	partfile->own.chunks = palloc(sizeof(Chunk) * partfile->max_chunks);
	MemoryContextSwitchTo(old);
}

static void
write_chunk(QhPartFile *partfile, uint32 part)
{
	Directory  *own = &partfile->own;

	CHECK_FOR_INTERRUPTS();
	if (own->nchunks == partfile->max_chunks)
	{
		partfile->max_chunks *= 2;
		own->chunks = repalloc_huge(own->chunks, sizeof(Chunk) * partfile->max_chunks);
	}
	own->chunks[own->nchunks].part = part;
	own->chunks[own->nchunks].nbytes = partfile->nbuffered[part];
	own->nchunks++;
	BufFileWrite(own->file, partfile->buffers[part], partfile->chunk_nbytes);
	partfile->nbuffered[part] = 0;
}

void
qh_partfile_put(QhPartFile *partfile, uint32 part, const void *data, Size nbytes)
{
	const uint8 *from = data;

	Assert(part < partfile->nparts);
	if (partfile->own.file == NULL)
		begin_writing(partfile);
	while (nbytes > 0)
	{
		Size		fits = Min(nbytes, partfile->chunk_nbytes - partfile->nbuffered[part]);

		/* zeroed, for a chunk that is not full is written whole */
		if (partfile->buffers[part] == NULL)
			partfile->buffers[part] = MemoryContextAllocZero(partfile->cxt, partfile->chunk_nbytes);
		memcpy(partfile->buffers[part] + partfile->nbuffered[part], from, fits);
		partfile->nbuffered[part] += fits;
		from += fits;
		nbytes -= fits;
		if (partfile->nbuffered[part] == partfile->chunk_nbytes)
			write_chunk(partfile, part);
	}
}

void
qh_partfile_end_part(QhPartFile *partfile, uint32 part)
{
	if (partfile->own.file == NULL || partfile->buffers[part] == NULL)
		return;
	if (partfile->nbuffered[part] > 0)
		write_chunk(partfile, part);
	pfree(partfile->buffers[part]);
	partfile->buffers[part] = NULL;
}

void
qh_partfile_finish(QhPartFile *partfile)
{
	Directory  *own = &partfile->own;

	if (own->file == NULL)
		return;
	for (uint32 part = 0; part < partfile->nparts; part++)
		qh_partfile_end_part(partfile, part);
	pfree(partfile->buffers);
	pfree(partfile->nbuffered);
	partfile->buffers = NULL;
	partfile->nbuffered = NULL;
	partfile->nchunks[partfile->writers.self] = own->nchunks;
	if (partfile->writers.fileset != NULL)
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
seek_chunk(QhPartFile *partfile, BufFile *file, uint64 chunk)
{
	if (BufFileSeekBlock(file, chunk * (partfile->chunk_nbytes / BLCKSZ)) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not seek in temporary file of an index build")));
}

static void
open_directory(QhPartFile *partfile, int participant)
{
	Directory  *dir = &partfile->dirs[participant];
	char		name[MAXPGPATH];

	dir->nchunks = partfile->nchunks[participant];
	if (dir->nchunks == 0)
		return;
	if (partfile->writers.fileset == NULL)
	{
		*dir = partfile->own;
		return;
	}
	file_name(partfile, participant, name);
	dir->file = BufFileOpenFileSet(&partfile->writers.fileset->fs, name, O_RDONLY, false);
	dir->chunks = MemoryContextAllocHuge(partfile->cxt, sizeof(Chunk) * dir->nchunks);
	seek_chunk(partfile, dir->file, dir->nchunks);
	read_exactly(dir->file, dir->chunks, sizeof(Chunk) * dir->nchunks);
}

static void
begin_reading(QhPartFile *partfile)
{
	MemoryContext old;

	if (partfile->dirs != NULL)
		return;
	old = MemoryContextSwitchTo(partfile->cxt);
	partfile->dirs = palloc0(sizeof(Directory) * partfile->writers.n);
	partfile->chunk = palloc(partfile->chunk_nbytes);
	for (int i = 0; i < partfile->writers.n; i++)
		open_directory(partfile, i);
	MemoryContextSwitchTo(old);
}

uint64
qh_partfile_part_nbytes(QhPartFile *partfile, uint32 part)
{
	uint64		nbytes = 0;

	begin_reading(partfile);
	for (int i = 0; i < partfile->writers.n; i++)
		for (uint64 j = 0; j < partfile->dirs[i].nchunks; j++)
			if (partfile->dirs[i].chunks[j].part == part)
				nbytes += partfile->dirs[i].chunks[j].nbytes;
	return nbytes;
}

void
qh_partfile_rewind(QhPartFile *partfile, uint32 part)
{
	begin_reading(partfile);
	partfile->part = part;
	partfile->participant = 0;
	partfile->next = 0;
	partfile->chunk_at = partfile->chunk_end = 0;
}

/* Go to the part's next chunk, without reading it; false if there is none. */
static bool
next_chunk(QhPartFile *partfile)
{
	for (; partfile->participant < partfile->writers.n; partfile->participant++, partfile->next = 0)
	{
		Directory  *dir = &partfile->dirs[partfile->participant];

		while (partfile->next < dir->nchunks && dir->chunks[partfile->next].part != partfile->part)
			partfile->next++;
		if (partfile->next == dir->nchunks)
			continue;
		partfile->chunk_at = 0;
		partfile->chunk_end = dir->chunks[partfile->next++].nbytes;
		partfile->chunk_read = false;
		return true;
	}
	return false;
}

static void
read_chunk(QhPartFile *partfile)
{
	BufFile    *file = partfile->dirs[partfile->participant].file;

	CHECK_FOR_INTERRUPTS();
	Assert(partfile->chunk_end <= partfile->chunk_nbytes);
	seek_chunk(partfile, file, partfile->next - 1);
	read_exactly(file, partfile->chunk, partfile->chunk_end);
	partfile->chunk_read = true;
}

void
qh_partfile_skip(QhPartFile *partfile, uint64 nbytes)
{
	while (nbytes > partfile->chunk_end - partfile->chunk_at)
	{
		nbytes -= partfile->chunk_end - partfile->chunk_at;
		if (!next_chunk(partfile))
			elog(ERROR, "temporary file of an index build is cut off");
	}
	partfile->chunk_at += nbytes;
}

bool
qh_partfile_get(QhPartFile *partfile, void *data, Size nbytes)
{
	uint8	   *out = data;
	Size		left = nbytes;

	while (left > 0)
	{
		Size		fits = Min(left, partfile->chunk_end - partfile->chunk_at);

		if (fits == 0)
		{
			if (next_chunk(partfile))
				continue;
			if (left < nbytes)
				elog(ERROR, "temporary file of an index build is cut off");
			return false;
		}
		if (!partfile->chunk_read)
			read_chunk(partfile);
		memcpy(out, partfile->chunk + partfile->chunk_at, fits);
		partfile->chunk_at += fits;
		out += fits;
		left -= fits;
	}
	return true;
}

void
qh_partfile_get_rest(QhPartFile *partfile, void *data, Size nbytes)
{
	if (!qh_partfile_get(partfile, data, nbytes))
		elog(ERROR, "temporary file of an index build is cut off");
}

/* ---- the end ---- */

void
qh_partfile_close(QhPartFile *partfile)
{
	if (partfile->dirs == NULL)
		return;
	if (partfile->writers.fileset != NULL)
	{
		for (int i = 0; i < partfile->writers.n; i++)
		{
			if (partfile->dirs[i].file == NULL)
				continue;
			BufFileClose(partfile->dirs[i].file);
			pfree(partfile->dirs[i].chunks);
		}
	}
	pfree(partfile->dirs);
	pfree(partfile->chunk);
	partfile->dirs = NULL;
}

void
qh_partfile_delete(QhPartFile *partfile)
{
	char		name[MAXPGPATH];

	if (partfile->writers.fileset == NULL)
	{
		if (partfile->own.file != NULL)
		{
			BufFileClose(partfile->own.file);
			pfree(partfile->own.chunks);
		}
		partfile->own.file = NULL;
		return;
	}
	for (int i = 0; i < partfile->writers.n; i++)
	{
		if (partfile->nchunks[i] == 0)
			continue;
		file_name(partfile, i, name);
		BufFileDeleteFileSet(&partfile->writers.fileset->fs, name, false);
	}
}
