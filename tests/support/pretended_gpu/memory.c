/* The memory of a pretended GPU, which is memory of the host, and the copies to and from it: libcuda. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "driver.h"

typedef struct Block {
    struct Block *next;
    char *start;
    size_t bytes;
    int gpu;
} Block;

static Block *blocks;
static size_t taken[MOST_GPUS];
static pthread_mutex_t blocks_lock = PTHREAD_MUTEX_INITIALIZER;

size_t pretended_memory_bytes(void) { return (size_t)pretended_setting("PRETENDED_MEMORY", (long)MEMORY_BYTES); }

static int full(void) {
    long failing = pretended_setting("PRETENDED_FAIL_ALLOCATION", 0);
    return failing && counts.allocations >= failing;
}

size_t pretended_free(int gpu) {
    pthread_mutex_lock(&blocks_lock);
    size_t left = full() ? 0 : pretended_memory_bytes() - taken[gpu];
    pthread_mutex_unlock(&blocks_lock);
    return left;
}

void *pretended_memory(size_t bytes) {
    int gpu = pretended_current_gpu();
    counts.allocations++;
    if (full())
        return NULL;
    bytes = bytes ? bytes : 1;
    pthread_mutex_lock(&blocks_lock);
    Block *block = taken[gpu] + bytes <= pretended_memory_bytes() ? malloc(sizeof *block) : NULL;
    void *start = block ? mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
                        : MAP_FAILED;
    if (start == MAP_FAILED) {
        free(block);
        start = NULL;
    } else {
        *block = (Block){blocks, start, bytes, gpu};
        blocks = block;
        taken[gpu] += bytes;
    }
    pthread_mutex_unlock(&blocks_lock);
    return start;
}

void pretended_release(void *start) {
    pthread_mutex_lock(&blocks_lock);
    for (Block **at = &blocks; *at; at = &(*at)->next)
        if ((*at)->start == start) {
            Block *found = *at;
            *at = found->next;
            taken[found->gpu] -= found->bytes;
            munmap(found->start, found->bytes);
            free(found);
            break;
        }
    pthread_mutex_unlock(&blocks_lock);
}

static int block_of(const void *address, Block *found) {
    int known = 0;
    pthread_mutex_lock(&blocks_lock);
    for (Block *at = blocks; at && !known; at = at->next)
        if ((char *)address >= at->start && (char *)address < at->start + at->bytes) {
            *found = *at;
            known = 1;
        }
    pthread_mutex_unlock(&blocks_lock);
    return known;
}

int pretended_gpu_of(const void *address) {
    Block found;
    return block_of(address, &found) ? found.gpu : -1;
}

void count_copy(int kind, size_t bytes) {
    long pause = pretended_setting("PRETENDED_COPY_MICROSECONDS", 0);
    if (kind == TO_DEVICE) {
        counts.to_device++;
        counts.to_device_bytes += (long)bytes;
    } else if (kind == TO_HOST) {
        counts.to_host++;
        counts.to_host_bytes += (long)bytes;
    } else
        counts.on_device++;
    if (getenv("PRETENDED_SHOW") && kind != ON_DEVICE)
        fprintf(stderr, "%s GPU %d: %zu bytes\n", kind == TO_DEVICE ? "to" : "from",
                pretended_number(pretended_current_gpu()), bytes);
    if (pause && kind != ON_DEVICE)
        usleep((useconds_t)pause);
}

static CUresult copy(void *to, const void *from, size_t bytes, int kind) {
    if (pretended_lost())
        return CUDA_ERROR_LAUNCH_FAILED;
    count_copy(kind, bytes);
    memcpy(to, from, bytes);
    return CUDA_SUCCESS;
}

CUresult cuMemGetInfo(size_t *left, size_t *total) {
    *total = pretended_memory_bytes();
    *left = pretended_free(pretended_current_gpu());
    return CUDA_SUCCESS;
}
CUresult cuMemAlloc(CUdeviceptr *start, size_t bytes) {
    *start = (CUdeviceptr)pretended_memory(bytes);
    return *start ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}
CUresult cuMemAllocManaged(CUdeviceptr *start, size_t bytes, unsigned flags) { return (cuMemAlloc)(start, bytes); }
CUresult cuMemFree(CUdeviceptr start) { pretended_release((void *)start); return CUDA_SUCCESS; }
CUresult cuMemHostAlloc(void **start, size_t bytes, unsigned flags) {
    return posix_memalign(start, 512, bytes ? bytes : 1) ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_SUCCESS;
}
CUresult cuMemAllocHost(void **start, size_t bytes) { return cuMemHostAlloc(start, bytes, 0); }
CUresult cuMemFreeHost(void *start) { free(start); return CUDA_SUCCESS; }
CUresult cuMemHostGetDevicePointer(CUdeviceptr *device, void *host, unsigned flags) {
    *device = (CUdeviceptr)host;
    return CUDA_SUCCESS;
}
CUresult cuMemGetAddressRange(CUdeviceptr *start, size_t *bytes, CUdeviceptr address) {
    Block found;
    if (!block_of((void *)address, &found))
        return CUDA_ERROR_NOT_FOUND;
    if (start)
        *start = (CUdeviceptr)found.start;
    if (bytes)
        *bytes = found.bytes;
    return CUDA_SUCCESS;
}
CUresult cuPointerGetAttribute(void *value, CUpointer_attribute attribute, CUdeviceptr address) {
    int gpu = pretended_gpu_of((void *)address);
    switch (attribute) {
    case CU_POINTER_ATTRIBUTE_CONTEXT: *(CUcontext *)value = pretended_context(gpu < 0 ? 0 : gpu); break;
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
        *(unsigned *)value = gpu < 0 ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
        break;
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL: *(int *)value = gpu < 0 ? 0 : gpu; break;
    default: *(unsigned *)value = 0;
    }
    return CUDA_SUCCESS;
}

CUresult cuMemcpyHtoD(CUdeviceptr to, const void *from, size_t bytes) {
    return copy((void *)to, from, bytes, TO_DEVICE);
}
CUresult cuMemcpyDtoH(void *to, CUdeviceptr from, size_t bytes) { return copy(to, (void *)from, bytes, TO_HOST); }
CUresult cuMemcpyDtoD(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
    return copy((void *)to, (void *)from, bytes, ON_DEVICE);
}
CUresult cuMemcpyHtoDAsync(CUdeviceptr to, const void *from, size_t bytes, CUstream stream) {
    return copy((void *)to, from, bytes, TO_DEVICE);
}
CUresult cuMemcpyDtoHAsync(void *to, CUdeviceptr from, size_t bytes, CUstream stream) {
    return copy(to, (void *)from, bytes, TO_HOST);
}
CUresult cuMemcpyDtoDAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
    return copy((void *)to, (void *)from, bytes, ON_DEVICE);
}
CUresult cuMemcpyPeerAsync(CUdeviceptr to, CUcontext there, CUdeviceptr from, CUcontext here, size_t bytes,
                           CUstream stream) {
    return copy((void *)to, (void *)from, bytes, ON_DEVICE);
}
CUresult cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
    return copy((void *)to, (void *)from, bytes, ON_DEVICE);
}
CUresult cuMemsetD8(CUdeviceptr to, unsigned char value, size_t count) {
    memset((void *)to, value, count);
    return pretended_alive();
}
CUresult cuMemsetD32(CUdeviceptr to, unsigned value, size_t count) {
    for (size_t at = 0; at < count; at++)
        ((unsigned *)to)[at] = value;
    return pretended_alive();
}
CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t count, CUstream stream) {
    return (cuMemsetD8)(to, value, count);
}
CUresult cuMemsetD32Async(CUdeviceptr to, unsigned value, size_t count, CUstream stream) {
    return (cuMemsetD32)(to, value, count);
}
CUresult cuMemGetAllocationGranularity(size_t *bytes, const CUmemAllocationProp *of,
                                       CUmemAllocationGranularity_flags option) {
    *bytes = 2 << 20;
    return CUDA_SUCCESS;
}
