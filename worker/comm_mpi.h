/* trainer/gang/comm.h over MPI. No call blocks for ever: everything is started without waiting and
 * polled until it is done or the deadline is over; then ERR_PEER, and the gang is good for nothing
 * but comm_mpi_abort(). comm_mpi.c is the only file that includes mpi.h. The main thread calls. */
#ifndef WORKER_COMM_MPI_H
#define WORKER_COMM_MPI_H

#include "trainer/gang/comm.h"
#include "trainer/gang/work.h"

/* Joins the gang mpirun started (a gang of one without mpirun). work: shows that this rank waits
 * for the others; borrowed until close. ERR_UNAVAILABLE. The caller calls comm->close(): it ends
 * MPI, and with it the chance to open again. */
MUST_CHECK enum err comm_mpi_open(double deadline_s, struct rank_work *work, struct comm *comm);

/* Ends every rank of the gang with this exit code, now; returns only if even that fails. */
void comm_mpi_abort(struct comm *comm, int exit_code);

#endif
