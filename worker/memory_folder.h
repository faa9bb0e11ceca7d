/* Where the ranks of one node share memory (OMPI_MCA_btl_vader_backing_directory), as the gang's
 * launcher says. On its own node the launcher made the folder, locked it and removes it; on others
 * the ranks make it, and the last one to leave removes it with what killed gangs left there. Only
 * folders that are named as a launcher names them are touched. The main thread. */
#ifndef WORKER_MEMORY_FOLDER_H
#define WORKER_MEMORY_FOLDER_H

#include "base/err.h"

/* Before MPI begins. *lock: for memory_folder_leave(); -1: there is nothing to do. ERR_IO. */
MUST_CHECK enum err memory_folder_join(int *lock);
/* After MPI has ended. */
void memory_folder_leave(int lock);

#endif
