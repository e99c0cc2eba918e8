/* NCCL of pretended GPUs. Unlike kernels its collectives compute: gradients, sums and messages do arrive.

   The ranks of a communicator, threads of one process or processes of one machine, meet in a piece of shared memory
   that is named by the communicator's id: each writes a chunk into its place, all wait, and each reads what it needs.
   A rank whose peers do not come is told what NCCL says of a peer that is gone. Every rank needs a thread of its own,
   as TensorFlow gives it: calls between ncclGroupStart and ncclGroupEnd are done at once. */
#include <fcntl.h>
#include <nccl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "state.h"

#define CHUNK ((size_t)1 << 20)
#define HEADER 4096
#define PAUSE_NANOSECONDS 20000
#define PATIENCE_SECONDS 120

typedef struct {
    atomic_int arrived, round, broken;
} Meeting;

struct ncclComm {
    int ranks, rank, gpu;
    size_t bytes;
    char name[64];
    Meeting *meeting;
};

ncclResult_t ncclGetVersion(int *version) { *version = NCCL_VERSION_CODE; return ncclSuccess; }
const char *ncclGetErrorString(ncclResult_t result) {
    return result == ncclSuccess ? "no error"
         : result == ncclRemoteError ? "remote process exited or there was a network error"
                                     : "unhandled system error (run with NCCL_DEBUG=INFO for details)";
}
const char *ncclGetLastError(ncclComm_t comm) { return ""; }
ncclResult_t ncclGroupStart(void) { return ncclSuccess; }
ncclResult_t ncclGroupEnd(void) { return ncclSuccess; }

ncclResult_t ncclGetUniqueId(ncclUniqueId *id) {
    unsigned char random[16];
    FILE *source = fopen("/dev/urandom", "rb");
    memset(id, 0, sizeof *id);
    if (!source || fread(random, 1, sizeof random, source) != sizeof random)
        return ncclSystemError;
    fclose(source);
    int length = sprintf(id->internal, "/pretended-nccl-");
    for (size_t at = 0; at < sizeof random; at++)
        length += sprintf(id->internal + length, "%02x", random[at]);
    return ncclSuccess;
}

ncclResult_t ncclCommInitRank(ncclComm_t *made, int ranks, ncclUniqueId id, int rank) {
    struct ncclComm *comm = calloc(1, sizeof *comm);
    comm->ranks = ranks, comm->rank = rank, comm->gpu = pretended_current_gpu();
    comm->bytes = HEADER + CHUNK * (size_t)ranks;
    snprintf(comm->name, sizeof comm->name, "%.60s", id.internal);
    int file = shm_open(comm->name, O_CREAT | O_RDWR, 0600);
    if (file < 0 || ftruncate(file, (off_t)comm->bytes))
        return ncclSystemError;
    comm->meeting = mmap(NULL, comm->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (comm->meeting == MAP_FAILED)
        return ncclSystemError;
    if (getenv("PRETENDED_SHOW"))
        fprintf(stderr, "NCCL rank %d of %d on GPU %d by %s\n", rank, ranks, pretended_number(comm->gpu),
                getenv("NCCL_SOCKET_IFNAME") ? getenv("NCCL_SOCKET_IFNAME") : "any interface");
    *made = comm;
    return ncclSuccess;
}
ncclResult_t ncclCommInitRankConfig(ncclComm_t *made, int ranks, ncclUniqueId id, int rank, ncclConfig_t *config) {
    return ncclCommInitRank(made, ranks, id, rank);
}
ncclResult_t ncclCommInitAll(ncclComm_t *made, int ranks, const int *devices) {
    ncclUniqueId id;
    ncclResult_t result = ncclGetUniqueId(&id);
    for (int rank = 0; rank < ranks && result == ncclSuccess; rank++)
        result = ncclCommInitRank(&made[rank], ranks, id, rank);
    return result;
}
static ncclResult_t left(ncclComm_t comm) {
    if (comm->rank == 0)
        shm_unlink(comm->name);
    munmap(comm->meeting, comm->bytes);
    free(comm);
    return ncclSuccess;
}
ncclResult_t ncclCommDestroy(ncclComm_t comm) { return left(comm); }
ncclResult_t ncclCommAbort(ncclComm_t comm) {
    comm->meeting->broken = 1;
    return left(comm);
}
ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t *error) {
    *error = comm->meeting->broken ? ncclRemoteError : ncclSuccess;
    return ncclSuccess;
}
ncclResult_t ncclCommCount(const ncclComm_t comm, int *count) { *count = comm->ranks; return ncclSuccess; }
ncclResult_t ncclCommUserRank(const ncclComm_t comm, int *rank) { *rank = comm->rank; return ncclSuccess; }
ncclResult_t ncclCommCuDevice(const ncclComm_t comm, int *device) { *device = comm->gpu; return ncclSuccess; }

/* Wait until all ranks have come here. */
static ncclResult_t meet(ncclComm_t comm) {
    Meeting *meeting = comm->meeting;
    int round = meeting->round;
    if (atomic_fetch_add(&meeting->arrived, 1) == comm->ranks - 1) {
        meeting->arrived = 0;
        meeting->round++;
        return meeting->broken ? ncclRemoteError : ncclSuccess;
    }
    struct timespec pause = {0, PAUSE_NANOSECONDS};
    long tries = pretended_setting("PRETENDED_PATIENCE_SECONDS", PATIENCE_SECONDS) * (1000000000L / PAUSE_NANOSECONDS);
    for (long waited = 0; meeting->round == round; waited++) {
        if (waited > tries)
            meeting->broken = 1;
        if (meeting->broken)
            return ncclRemoteError;
        nanosleep(&pause, NULL);
    }
    return ncclSuccess;
}

static char *place(ncclComm_t comm, int rank) { return (char *)comm->meeting + HEADER + CHUNK * (size_t)rank; }

static size_t size_of(ncclDataType_t type) {
    switch (type) {
    case ncclInt8: case ncclUint8: return 1;
    case ncclFloat16: case ncclBfloat16: return 2;
    case ncclInt32: case ncclUint32: case ncclFloat32: return 4;
    default: return 8;
    }
}

static float of_bfloat16(unsigned short bits) {
    unsigned wide = (unsigned)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
}
static unsigned short to_bfloat16(float value) {
    unsigned wide;
    memcpy(&wide, &value, sizeof wide);
    return (unsigned short)((wide + 0x7fff + ((wide >> 16) & 1)) >> 16);
}

#define REDUCED(TYPE, GET, PUT)                                                              \
    for (size_t at = 0; at < count; at++) {                                                  \
        double total = GET(((TYPE *)place(comm, 0))[at]);                                    \
        for (int rank = 1; rank < comm->ranks; rank++) {                                     \
            double value = GET(((TYPE *)place(comm, rank))[at]);                             \
            total = operation == ncclProd ? total * value                                    \
                  : operation == ncclMax  ? (value > total ? value : total)                  \
                  : operation == ncclMin  ? (value < total ? value : total) : total + value; \
        }                                                                                    \
        ((TYPE *)into)[at] = PUT(operation == ncclAvg ? total / comm->ranks : total);        \
    }
/* Whole numbers of 64 bits carry messages of TensorFlow's strategies: no double may come between. */
#define SUMMED(TYPE)                                                                         \
    for (size_t at = 0; at < count; at++) {                                                  \
        TYPE total = ((TYPE *)place(comm, 0))[at];                                           \
        for (int rank = 1; rank < comm->ranks; rank++) {                                     \
            TYPE value = ((TYPE *)place(comm, rank))[at];                                    \
            total = operation == ncclProd ? total * value                                    \
                  : operation == ncclMax  ? (value > total ? value : total)                  \
                  : operation == ncclMin  ? (value < total ? value : total) : total + value; \
        }                                                                                    \
        ((TYPE *)into)[at] = total;                                                          \
    }

static void reduce(ncclComm_t comm, char *into, size_t count, ncclDataType_t type, ncclRedOp_t operation) {
    switch (type) {
    case ncclInt8: SUMMED(signed char) break;
    case ncclUint8: SUMMED(unsigned char) break;
    case ncclInt32: SUMMED(int) break;
    case ncclUint32: SUMMED(unsigned) break;
    case ncclInt64: SUMMED(long) break;
    case ncclUint64: SUMMED(unsigned long) break;
    case ncclFloat16: REDUCED(_Float16, (double), (_Float16)) break;
    case ncclBfloat16: REDUCED(unsigned short, of_bfloat16, to_bfloat16) break;
    case ncclFloat32: REDUCED(float, (double), (float)) break;
    default: REDUCED(double, (double), (double)) break;
    }
}

ncclResult_t ncclAllReduce(const void *from, void *into, size_t count, ncclDataType_t type, ncclRedOp_t operation,
                           ncclComm_t comm, cudaStream_t stream) {
    size_t size = size_of(type), most = CHUNK / size;
    ncclResult_t result = ncclSuccess;
    counts.collectives++;
    for (size_t start = 0; start < count && result == ncclSuccess; start += most) {
        size_t here = count - start < most ? count - start : most;
        memcpy(place(comm, comm->rank), (const char *)from + start * size, here * size);
        if ((result = meet(comm)) == ncclSuccess)
            reduce(comm, (char *)into + start * size, here, type, operation);
        if (result == ncclSuccess)
            result = meet(comm);
    }
    return result;
}

ncclResult_t ncclBroadcast(const void *from, void *into, size_t count, ncclDataType_t type, int root, ncclComm_t comm,
                           cudaStream_t stream) {
    size_t bytes = count * size_of(type);
    ncclResult_t result = ncclSuccess;
    counts.collectives++;
    for (size_t start = 0; start < bytes && result == ncclSuccess; start += CHUNK) {
        size_t here = bytes - start < CHUNK ? bytes - start : CHUNK;
        if (comm->rank == root)
            memcpy(place(comm, root), (const char *)from + start, here);
        if ((result = meet(comm)) == ncclSuccess)
            memcpy((char *)into + start, place(comm, root), here);
        if (result == ncclSuccess)
            result = meet(comm);
    }
    return result;
}

ncclResult_t ncclAllGather(const void *from, void *into, size_t count, ncclDataType_t type, ncclComm_t comm,
                           cudaStream_t stream) {
    size_t bytes = count * size_of(type);
    ncclResult_t result = ncclSuccess;
    counts.collectives++;
    for (size_t start = 0; start < bytes && result == ncclSuccess; start += CHUNK) {
        size_t here = bytes - start < CHUNK ? bytes - start : CHUNK;
        memcpy(place(comm, comm->rank), (const char *)from + start, here);
        if ((result = meet(comm)) != ncclSuccess)
            break;
        for (int rank = 0; rank < comm->ranks; rank++)
            memcpy((char *)into + (size_t)rank * bytes + start, place(comm, rank), here);
        result = meet(comm);
    }
    return result;
}
