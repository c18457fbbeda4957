/*
 * partitioned_file.h
 *		Partitioned temporary files ("partfiles") of a build: many streams of bytes in one file.
 *
 * Each participant of a build appends to a file of its own, in chunks that belong to one of nparts
 * parts. Later each participant may read a part: then it is all that the participants wrote to it.
 * So the number of open files does not grow with the number of parts, and a part takes one chunk
 * of memory while it is written.
 */
#ifndef QH_PARTITIONED_FILE_H
#define QH_PARTITIONED_FILE_H

#include "postgres.h"

#include "storage/sharedfileset.h"

typedef struct QhPartFile QhPartFile;

/*
 * Who takes part in a build.  fileset is NULL where one process builds alone: then its files are
 * private.
 */
typedef struct QhPartFileWriters
{
	SharedFileSet *fileset;
	int			self;
	int			n;
} QhPartFileWriters;

/*
 * Partfile number id, as this process writes and reads it.  nchunks[i] says how many chunks
 * participant i has written; it is shared, 0 at first, and set by qh_partfile_finish.
 */
extern QhPartFile *qh_partfile_create(MemoryContext cxt, const QhPartFileWriters *writers, int id,
									  uint32 nparts, Size chunk_nbytes, uint64 *nchunks);

/* Append bytes to a part. */
extern void qh_partfile_put(QhPartFile *partfile, uint32 part, const void *data, Size nbytes);
/* Write out what the part holds in memory, and free that; more may be put later. */
extern void qh_partfile_end_part(QhPartFile *partfile, uint32 part);
/* Nothing more is put.  What the others wrote can be read once they have done the same. */
extern void qh_partfile_finish(QhPartFile *partfile);

/* Bytes of a part. */
extern uint64 qh_partfile_part_nbytes(QhPartFile *partfile, uint32 part);
/* Read from the beginning of a part. */
extern void qh_partfile_rewind(QhPartFile *partfile, uint32 part);
/* Pass over bytes of it.  Chunks that are passed over as a whole are not read from the file. */
extern void qh_partfile_skip(QhPartFile *partfile, uint64 nbytes);
/* The next nbytes of it; false at its end, an error if it ends within them. */
extern bool qh_partfile_get(QhPartFile *partfile, void *data, Size nbytes);
/* The same where they must be there. */
extern void qh_partfile_get_rest(QhPartFile *partfile, void *data, Size nbytes);

/* This process reads no more. */
extern void qh_partfile_close(QhPartFile *partfile);
/* Delete the files of all participants.  For one of them, when all have closed theirs. */
extern void qh_partfile_delete(QhPartFile *partfile);

#endif							/* QH_PARTITIONED_FILE_H */
