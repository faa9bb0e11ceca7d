/* The folder of what Open MPI keeps of a run's gangs: the ranks' shared memory and its session
 * folders, which it leaves behind when a gang is killed. In /dev/shm where there is one, else in
 * TMPDIR; only we can enter it, and its lock says that its runner lives, as with the socket's
 * (socket_folder.h). One thread at a time. */
#ifndef SCHEDULER_MPI_FOLDER_H
#define SCHEDULER_MPI_FOLDER_H

#include "scheduler/journal.h"

#define MPI_FOLDER_PREFIX "glowworm-mpi-"
/* In the environment of mpirun and its ranks: this, then the folder. */
#define MPI_FOLDER_SEGMENTS "OMPI_MCA_btl_vader_backing_directory="
#define MPI_FOLDER_SESSIONS "OMPI_MCA_orte_tmpdir_base="

/* Where such folders are made. Borrowed. */
const char *mpi_folder_root(void);
/* Makes one and locks it; the caller closes *lock. ERR_IO. */
MUST_CHECK enum err mpi_folder_make(char folder[JOURNAL_PATH], int *lock);
/* Removes what killed gangs left in it, none of which lives; a failure is logged. */
void mpi_folder_clear(const char *folder);
/* ERR_CONFIG: not such a folder (socket_folder_check()), nothing removed; ERR_IO. A missing one is
 * fine. */
MUST_CHECK enum err mpi_folder_remove(const char *folder);

#endif
