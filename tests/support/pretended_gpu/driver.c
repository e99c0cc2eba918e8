/* A pretended NVIDIA GPU, for tests on machines without one: libcuda.

   TensorFlow's own GPU runtime runs over it. Device memory is memory of the host, copies are real and counted, and
   kernels, products and convolutions do nothing. So it shows what TensorFlow sees, where things are placed, what is
   copied, what is refused and how a failure is told: never a speed, and never what a kernel would have computed.

   The environment sets it:
     PRETENDED_GPUS              how many there are (1), of which CUDA_VISIBLE_DEVICES shows some
     PRETENDED_MEMORY            bytes of each (80 GiB)
     PRETENDED_FAIL_ALLOCATION   from this allocation on there is no memory (0: never)
     PRETENDED_LOSE_AT_KERNEL    from this kernel on the GPU is lost (0: never)
     PRETENDED_COPY_MICROSECONDS what each copy between host and GPU takes (0)
*/
#include <cuda.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "state.h"

Counts counts;

typedef struct Block {
    struct Block *next;
    char *start;
    size_t bytes;
    int gpu;
} Block;

static Block *blocks;
static size_t taken[MOST_GPUS];
static pthread_mutex_t blocks_lock = PTHREAD_MUTEX_INITIALIZER;
static char contexts[MOST_GPUS];
static _Thread_local char *current;

void pretended_counts(long *into) { memcpy(into, &counts, sizeof counts); }

long pretended_setting(const char *name, long otherwise) {
    const char *text = getenv(name);
    return text && *text ? atol(text) : otherwise;
}

int pretended_gpus_of_machine(void) {
    long asked = pretended_setting("PRETENDED_GPUS", 1);
    return asked < MOST_GPUS ? (int)asked : MOST_GPUS;
}

/* CUDA shows a process those that CUDA_VISIBLE_DEVICES names, up to the first that is none. */
int pretended_gpus(void) {
    const char *shown = getenv("CUDA_VISIBLE_DEVICES");
    int all = pretended_gpus_of_machine(), count = 0;
    if (!shown)
        return all;
    for (const char *at = shown; *at && count < all; at++) {
        char *end;
        long number = strtol(at, &end, 10);
        if (strncmp(at, "GPU-", 4) && (end == at || number < 0 || number >= all))
            break;
        count++;
        if (!(at = strchr(at, ',')))
            break;
    }
    return count;
}

static size_t memory_bytes(void) { return (size_t)pretended_setting("PRETENDED_MEMORY", (long)MEMORY_BYTES); }

int pretended_current_gpu(void) { return current ? (int)(current - contexts) : 0; }

int pretended_lost(void) {
    long at = pretended_setting("PRETENDED_LOSE_AT_KERNEL", 0);
    return at && counts.kernels + counts.products >= at;
}

static CUresult alive(void) { return pretended_lost() ? CUDA_ERROR_LAUNCH_FAILED : CUDA_SUCCESS; }

static void *some_handle(void) { return calloc(1, 64); }

void *pretended_memory(size_t bytes) {
    long number = ++counts.allocations, failing = pretended_setting("PRETENDED_FAIL_ALLOCATION", 0);
    int gpu = pretended_current_gpu();
    if (failing && number >= failing)
        return NULL;
    bytes = bytes ? bytes : 1;
    pthread_mutex_lock(&blocks_lock);
    Block *block = taken[gpu] + bytes <= memory_bytes() ? malloc(sizeof *block) : NULL;
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
        fprintf(stderr, "%s GPU %d: %zu bytes\n", kind == TO_DEVICE ? "to" : "from", pretended_current_gpu(), bytes);
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

/* The machine */

CUresult cuInit(unsigned flags) { return pretended_gpus() ? CUDA_SUCCESS : CUDA_ERROR_NO_DEVICE; }
CUresult cuDriverGetVersion(int *version) { *version = 13000; return CUDA_SUCCESS; }
CUresult cuDeviceGetCount(int *count) { *count = pretended_gpus(); return CUDA_SUCCESS; }
CUresult cuDeviceGet(CUdevice *device, int ordinal) { *device = ordinal; return CUDA_SUCCESS; }
CUresult cuDeviceGetName(char *name, int length, CUdevice device) {
    snprintf(name, (size_t)length, NAME);
    return CUDA_SUCCESS;
}
CUresult cuDeviceTotalMem(size_t *bytes, CUdevice device) { *bytes = memory_bytes(); return CUDA_SUCCESS; }
CUresult cuDeviceGetPCIBusId(char *text, int length, CUdevice device) {
    snprintf(text, (size_t)length, "0000:%02x:00.0", device + 1);
    return CUDA_SUCCESS;
}
CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice device) {
    memset(uuid, device, sizeof *uuid);
    return CUDA_SUCCESS;
}
CUresult cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice device) { return (cuDeviceGetUuid)(uuid, device); }
CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device) {
    *value = pretended_attribute((int)attribute);
    return CUDA_SUCCESS;
}
CUresult cuDeviceComputeCapability(int *major, int *minor, CUdevice device) {
    *major = 9, *minor = 0;
    return CUDA_SUCCESS;
}

/* Those of an H100; what is not named is a yes. */
int pretended_attribute(int attribute) {
    switch (attribute) {
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: return 9;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: return 0;
    case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: return 132;
    case CU_DEVICE_ATTRIBUTE_WARP_SIZE: return 32;
    case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X:
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y: return 1024;
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z: return 64;
    case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X: return 2147483647;
    case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y:
    case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z: return 65535;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK: return 48 << 10;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR: return 228 << 10;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN: return 227 << 10;
    case CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK:
    case CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR: return 65536;
    case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR: return 2048;
    case CU_DEVICE_ATTRIBUTE_CLOCK_RATE: return 1980000;
    case CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE: return 2619000;
    case CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH: return 5120;
    case CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE: return 50 << 20;
    case CU_DEVICE_ATTRIBUTE_VIRTUAL_ADDRESS_MANAGEMENT_SUPPORTED:
    case CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED: return 0;
    default: return 1;
    }
}

/* Contexts */

CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
    *context = (CUcontext)&contexts[device];
    return CUDA_SUCCESS;
}
CUresult cuDevicePrimaryCtxGetState(CUdevice device, unsigned *flags, int *active) {
    *flags = 0, *active = 1;
    return CUDA_SUCCESS;
}
CUresult cuCtxSetCurrent(CUcontext context) { current = (char *)context; return CUDA_SUCCESS; }
CUresult cuCtxGetCurrent(CUcontext *context) { *context = (CUcontext)current; return CUDA_SUCCESS; }
CUresult cuCtxPushCurrent(CUcontext context) { current = (char *)context; return CUDA_SUCCESS; }
CUresult cuCtxPopCurrent(CUcontext *context) {
    if (context)
        *context = (CUcontext)current;
    return CUDA_SUCCESS;
}
CUresult cuCtxGetDevice(CUdevice *device) { *device = pretended_current_gpu(); return CUDA_SUCCESS; }
CUresult cuCtxGetApiVersion(CUcontext context, unsigned *version) { *version = 13000; return CUDA_SUCCESS; }
CUresult cuCtxSynchronize(void) { counts.waits++; return alive(); }
CUresult cuCtxGetStreamPriorityRange(int *least, int *greatest) {
    *least = 0, *greatest = -5;
    return CUDA_SUCCESS;
}
CUresult cuDeviceCanAccessPeer(int *can, CUdevice one, CUdevice other) { *can = 1; return CUDA_SUCCESS; }
CUresult cuGetErrorName(CUresult error, const char **name) {
    *name = error == CUDA_ERROR_OUT_OF_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY"
          : error == CUDA_ERROR_LAUNCH_FAILED ? "CUDA_ERROR_LAUNCH_FAILED" : "CUDA_ERROR_UNKNOWN";
    return CUDA_SUCCESS;
}
CUresult cuGetErrorString(CUresult error, const char **text) {
    *text = error == CUDA_ERROR_OUT_OF_MEMORY ? "out of memory"
          : error == CUDA_ERROR_LAUNCH_FAILED ? "unspecified launch failure" : "unknown error";
    return CUDA_SUCCESS;
}

/* Memory */

CUresult cuMemGetInfo(size_t *left, size_t *total) {
    *total = memory_bytes();
    pthread_mutex_lock(&blocks_lock);
    *left = *total - taken[pretended_current_gpu()];
    pthread_mutex_unlock(&blocks_lock);
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
    case CU_POINTER_ATTRIBUTE_CONTEXT: *(CUcontext *)value = (CUcontext)&contexts[gpu < 0 ? 0 : gpu]; break;
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
    return alive();
}
CUresult cuMemsetD32(CUdeviceptr to, unsigned value, size_t count) {
    for (size_t at = 0; at < count; at++)
        ((unsigned *)to)[at] = value;
    return alive();
}
CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t count, CUstream stream) {
    return (cuMemsetD8)(to, value, count);
}
CUresult cuMemsetD32Async(CUdeviceptr to, unsigned value, size_t count, CUstream stream) {
    return (cuMemsetD32)(to, value, count);
}

/* Streams and events: all is done when a call returns */

CUresult cuStreamCreate(CUstream *stream, unsigned flags) { *stream = some_handle(); return CUDA_SUCCESS; }
CUresult cuStreamCreateWithPriority(CUstream *stream, unsigned flags, int priority) {
    *stream = some_handle();
    return CUDA_SUCCESS;
}
CUresult cuStreamGetCtx(CUstream stream, CUcontext *context) { *context = (CUcontext)current; return CUDA_SUCCESS; }
CUresult cuStreamIsCapturing(CUstream stream, CUstreamCaptureStatus *status) {
    *status = CU_STREAM_CAPTURE_STATUS_NONE;
    return CUDA_SUCCESS;
}
CUresult cuStreamSynchronize(CUstream stream) { counts.waits++; return alive(); }
CUresult cuStreamQuery(CUstream stream) { return alive(); }
CUresult cuEventCreate(CUevent *event, unsigned flags) { *event = some_handle(); return CUDA_SUCCESS; }
CUresult cuEventQuery(CUevent event) { return alive(); }
CUresult cuEventSynchronize(CUevent event) { counts.waits++; return alive(); }
CUresult cuEventElapsedTime(float *milliseconds, CUevent start, CUevent stop) {
    *milliseconds = 0.1f;
    return CUDA_SUCCESS;
}
CUresult cuLaunchHostFunc(CUstream stream, CUhostFn function, void *data) { function(data); return CUDA_SUCCESS; }
CUresult cuStreamAddCallback(CUstream stream, CUstreamCallback function, void *data, unsigned flags) {
    function(stream, CUDA_SUCCESS, data);
    return CUDA_SUCCESS;
}

/* Kernels */

CUresult cuModuleLoadData(CUmodule *module, const void *image) { *module = some_handle(); return CUDA_SUCCESS; }
CUresult cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned count, CUjit_option *options, void **values) {
    *module = some_handle();
    return CUDA_SUCCESS;
}
CUresult cuModuleLoadFatBinary(CUmodule *module, const void *image) { *module = some_handle(); return CUDA_SUCCESS; }
CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) {
    *function = some_handle();
    return CUDA_SUCCESS;
}
CUresult cuModuleGetGlobal(CUdeviceptr *start, size_t *bytes, CUmodule module, const char *name) {
    *start = (CUdeviceptr)calloc(1, 4096);
    if (bytes)
        *bytes = 4096;
    return CUDA_SUCCESS;
}
CUresult cuFuncGetAttribute(int *value, CUfunction_attribute attribute, CUfunction function) {
    *value = 32;
    return CUDA_SUCCESS;
}
CUresult cuLaunchKernel(CUfunction function, unsigned x, unsigned y, unsigned z, unsigned width, unsigned height,
                        unsigned depth, unsigned shared, CUstream stream, void **arguments, void **extra) {
    counts.kernels++;
    return alive();
}
CUresult cuLaunchKernelEx(const CUlaunchConfig *configuration, CUfunction function, void **arguments, void **extra) {
    counts.kernels++;
    return alive();
}
CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks_, CUfunction function, int threads, size_t shared) {
    *blocks_ = 2;
    return CUDA_SUCCESS;
}
CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks_, CUfunction function, int threads,
                                                              size_t shared, unsigned flags) {
    *blocks_ = 2;
    return CUDA_SUCCESS;
}
CUresult cuMemGetAllocationGranularity(size_t *bytes, const CUmemAllocationProp *of,
                                       CUmemAllocationGranularity_flags option) {
    *bytes = 2 << 20;
    return CUDA_SUCCESS;
}
CUresult cuGetExportTable(const void **table, const CUuuid *of) { return CUDA_ERROR_NOT_FOUND; }
CUresult cuGetProcAddress(const char *name, void **function, int version, cuuint64_t flags,
                          CUdriverProcAddressQueryResult *status) {
    *function = NULL;
    return CUDA_ERROR_NOT_FOUND;
}
